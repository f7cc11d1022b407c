"""A PACS that holds one scan and one segmentation of it, in memory."""

from pydicom import Dataset
from pydicom.uid import SegmentationStorage

from apps.calibrated_ensemble.pacs.client import Series, StoredSegmentation

SCAN = "1.7"
STORED = StoredSegmentation(uid="1.2.3", series="1.2", study="1", content="20260101120000000000")


def segmentation_header(*names: tuple[str, str], storage: str = SegmentationStorage) -> Dataset:
    """Header with segments of these labels and descriptions."""
    header, reference = Dataset(), Dataset()
    header.SOPClassUID = storage
    header.ContentDate, header.ContentTime = "20260101", "120000"
    reference.SeriesInstanceUID = SCAN
    header.ReferencedSeriesSequence, header.SegmentSequence = [reference], []
    for number, (label, description) in enumerate(names, 1):
        segment = Dataset()
        segment.SegmentNumber, segment.SegmentLabel, segment.SegmentDescription = number, label, description
        header.SegmentSequence.append(segment)
    return header


class OneSegmentation:
    """Stands for `PacsClient`; counts how often the header was fetched."""

    def __init__(self, header: Dataset):
        self._header = header
        self.fetched = 0

    def series(self) -> list[Series]:
        return [Series(SCAN, STORED.study, "CT", "patient-1", "", "", 1)]

    def segmentations(self) -> list[StoredSegmentation]:
        return [STORED]

    def segmentation_header(self, stored: StoredSegmentation) -> Dataset:
        assert stored == STORED
        self.fetched += 1
        return self._header
