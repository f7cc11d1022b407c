"""One network, and how it runs."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "devices": ["choose_device"],
        "sliding_window": ["predict_logits"],
        "unet": ["build_network"],
    },
)
