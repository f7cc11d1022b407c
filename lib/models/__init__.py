"""A trained ensemble: its files, its versions, and at work."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "ensemble": ["Ensemble"],
        "generation": ["Generation", "read_generation"],
        "prediction": ["Prediction"],
        "publishing": ["publish"],
        "training_result": ["TrainingResult"],
        "workspace": ["Workspace"],
    },
)
