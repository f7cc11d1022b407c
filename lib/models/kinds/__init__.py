"""How the networks of an ensemble come to differ: one file for each kind."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "kind": ["EnsembleKind"],
        "method": ["Method"],
        "registry": ["CALIBRATED", "KINDS"],
    },
)
