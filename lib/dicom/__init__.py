"""DICOM: series of scans in, segmentations in and out, parametric maps out."""

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
