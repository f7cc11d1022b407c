"""DICOM in and out: series of scans, segmentations and parametric maps on their grid."""
