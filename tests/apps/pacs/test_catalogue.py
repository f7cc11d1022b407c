"""What is kept of segmentation objects, with a client that counts what is fetched."""

import json
import logging
from pathlib import Path

import pytest

from apps.calibrated_ensemble.pacs.catalogue import SegmentationCatalogue, SegmentationFacts, segmentation_facts
from lib.dicom.segmentation_reader import LABEL_MAP_STORAGE
from tests.apps.pacs.one_segmentation import SCAN, STORED, OneSegmentation, segmentation_header


def describe(path: Path, client: OneSegmentation) -> SegmentationFacts:
    (described,), failed = SegmentationCatalogue(path, client).describe([STORED])
    assert not failed
    return described.facts


def test_a_description_is_kept_only_where_it_is_the_name() -> None:
    facts = segmentation_facts(
        segmentation_header(("Segment 1", "lesion"), ("organ", "of Mrs Smith"), ("Segment 3", ""))
    )
    assert facts.segments == ("lesion", "organ", "Segment 3")
    assert (facts.scan, facts.content, facts.is_label_map) == (SCAN, STORED.content, False)


def test_a_label_map_is_told_from_a_binary_segmentation() -> None:
    assert segmentation_facts(segmentation_header(("Background", ""), storage=LABEL_MAP_STORAGE)).is_label_map


def test_a_header_is_fetched_once_for_all_processes(tmp_path: Path) -> None:
    client = OneSegmentation(segmentation_header(("Segment 1", "lesion")))
    first = describe(tmp_path / "segmentations.json", client)
    assert describe(tmp_path / "segmentations.json", client) == first
    assert client.fetched == 1


def test_a_file_of_an_earlier_version_is_made_again_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "segmentations.json"
    old = {"scan": SCAN, "segments": ["Segment 1"], "content": STORED.content, "unreadable": None}
    path.write_text(json.dumps({STORED.uid: old}))
    client = OneSegmentation(segmentation_header(("Segment 1", "lesion")))
    with caplog.at_level(logging.WARNING):
        assert describe(path, client).segments == ("lesion",)
        assert describe(path, client).segments == ("lesion",)
    assert client.fetched == 1
    assert not caplog.records
    # The earlier version, should it come back, reads what it needs.
    (entry,) = json.loads(path.read_text()).values()
    assert entry.items() >= {"scan": SCAN, "segments": ["lesion"], "content": STORED.content}.items()


def test_a_damaged_file_is_reported_and_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "segmentations.json"
    path.write_text('{"1.2": {"sc')
    client = OneSegmentation(segmentation_header(("lesion", "")))
    with caplog.at_level(logging.WARNING):
        assert describe(path, client).segments == ("lesion",)
    assert "is damaged; it is made again from the PACS" in caplog.text
