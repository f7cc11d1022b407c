"""Judgement by a label."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "calibration_error": ["calibration_errors", "equal_mass_curve", "parzen_curve"],
        "dice": ["dice_per_class"],
        "estimate_errors": ["agreement_metrics", "ranking_metrics"],
    },
)
