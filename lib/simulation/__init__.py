"""Made-up and spoilt scans."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "corruptions": ["corrupt"],
        "phantoms": ["make_phantom", "write_phantoms"],
    },
)
