"""A trained ensemble: its files, its versions, and at work."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "ensemble": ["Ensemble", "Prediction"],
        "generation": ["Generation", "read_generation"],
        "workspace": ["Workspace"],
    },
)
