"""Where work is done: in this process, in others, on a cluster."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "executor": ["Executor", "Work"],
        "local": ["InProcess"],
    },
)
