"""Scans and labels as arrays with a place in the world."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "files": ["read_label", "read_scan", "scan_name", "write_volume"],
        "region": ["read_region"],
        "volume": ["RAS_TO_LPS", "Volume", "check_same_grid"],
    },
)
