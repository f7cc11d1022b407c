"""Which scans and labels there are."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "decathlon": ["DataSet", "read_data_set"],
        "scan_formats": ["read_scan"],
        "scans": ["LabelledScan", "UnlabelledScan", "read_labelled_scan"],
        "studies_folder": ["Studies", "read_studies"],
    },
)
