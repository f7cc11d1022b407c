"""Files that are whole or not there."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "atomic": ["atomic_folder", "atomic_path", "write_text"],
        "digest": ["digest_file", "digest_settings"],
    },
)
