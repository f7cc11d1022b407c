"""Which segmentations of a PACS are labels of the task."""

from pathlib import Path

import pytest
from pydicom.uid import SegmentationStorage

from apps.calibrated_ensemble.pacs.catalogue import SegmentationCatalogue
from apps.calibrated_ensemble.pacs.listing import Listing, PacsListing
from lib.dicom.segmentation_reader import LABEL_MAP_STORAGE
from tests.apps.pacs.one_segmentation import SCAN, STORED, OneSegmentation, segmentation_header

LABELS = {"lesion": 1, "STRASSE": 2}


def listed(folder: Path, *names: tuple[str, str], storage: str = SegmentationStorage) -> Listing:
    pacs = OneSegmentation(segmentation_header(*names, storage=storage))
    catalogue = SegmentationCatalogue(folder / "segmentations.json", pacs)
    return PacsListing(pacs, catalogue, labels=LABELS, refresh_seconds=0).current()


@pytest.mark.parametrize(
    "names",
    [
        [("lesion", "")],
        [(" Lesion ", "")],
        [("Straße", "")],
        [("Segment 1", "lesion")],
        [("", "Straße")],
        [("lesion", "whatever"), ("segment_2", "strasse")],
    ],
)
def test_a_segmentation_whose_names_the_reader_knows_is_a_label(tmp_path: Path, names: list[tuple[str, str]]) -> None:
    listing = listed(tmp_path, *names)
    assert listing.labels == {SCAN: (STORED,)}
    assert listing.unusable == {}


def test_a_label_map_may_describe_its_background(tmp_path: Path) -> None:
    names = [("Background", ""), ("lesion", "")]
    assert listed(tmp_path / "map", *names, storage=LABEL_MAP_STORAGE).labels == {SCAN: (STORED,)}
    binary = listed(tmp_path / "binary", *names)
    assert binary.labels == {}
    assert "'Background'" in binary.unusable[STORED.series]


@pytest.mark.parametrize("storage", [SegmentationStorage, LABEL_MAP_STORAGE])
@pytest.mark.parametrize("names", [[("kidney", "lesion")], [("Segment 1", "")], [("Segment 1", "kidney"), ("x", "")]])
def test_a_segmentation_of_another_task_is_passed_over(
    tmp_path: Path, names: list[tuple[str, str]], storage: str
) -> None:
    listing = listed(tmp_path, *names, storage=storage)
    assert listing.labels == {}
    assert listing.unusable == {}


def test_a_label_map_of_another_task_is_passed_over_with_its_background(tmp_path: Path) -> None:
    listing = listed(tmp_path, ("Background", ""), ("kidney", ""), storage=LABEL_MAP_STORAGE)
    assert (listing.labels, listing.unusable) == ({}, {})


def test_a_segmentation_with_a_class_and_something_else_is_reported(tmp_path: Path) -> None:
    listing = listed(tmp_path, ("lesion", ""), ("Segment 2", "kidney"))
    assert listing.labels == {}
    reason = "segment 'kidney' is no class of the task; remove it, or name it lesion or STRASSE"
    assert listing.unusable == {STORED.series: reason}
