"""Judgement without a label."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "conformal": ["conformal_half_width", "coverage_range"],
        "disagreement": ["mean_entropy", "mean_pairwise_dice"],
        "estimated_dsc": ["class_volumes", "estimated_dsc"],
        "label_doubts": ["LabelDoubt", "label_doubts", "outside_region"],
        "uncertain_regions": ["UncertainRegion", "uncertain_regions"],
    },
)
