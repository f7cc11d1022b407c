"""DICOM in and out: series of scans, segmentations and parametric maps on their grid."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "parametric_map": ["parametric_map"],
        "segmentation_reader": ["read_segmentation"],
        "segmentation_writer": ["segmentation_dataset"],
        "series": ["SeriesGrid", "read_series"],
        "series_writer": ["series_datasets"],
    },
)
