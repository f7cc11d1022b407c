"""From labelled scans to the plan and the input of the network."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "fingerprint": ["Fingerprint", "fingerprint_scan"],
        "plan": ["Plan", "make_plan"],
        "preprocessor": ["Preprocessor"],
    },
)
