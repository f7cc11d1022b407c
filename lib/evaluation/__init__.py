"""A model against the labels of scans."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "compared_heatmaps": ["Comparison", "compare_workspace"],
        "evaluation": ["Evaluation", "evaluate"],
    },
)
