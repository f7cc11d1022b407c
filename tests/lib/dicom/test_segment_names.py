import pytest
from pydicom import Dataset

from lib.dicom.segment_names import segment_values
from lib.errors import InputError

LABELS = {"Tumour": 2, "cyst": 5}


def segment(number: int | None, label: str | None, description: str | None = None) -> Dataset:
    dataset = Dataset()
    for keyword, value in (("SegmentNumber", number), ("SegmentLabel", label), ("SegmentDescription", description)):
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


def values(*segments: Dataset, is_label_map: bool = False) -> dict[int, int]:
    return segment_values(list(segments), labels=LABELS, is_label_map=is_label_map, where="segmentation x")


def test_case_and_blanks_do_not_matter() -> None:
    assert values(segment(1, " CYST "), segment(2, "tumour")) == {1: 5, 2: 2}


@pytest.mark.parametrize("label", [None, "", "Segment 1", "segment_12", "Segment"])
def test_a_description_counts_where_nobody_gave_a_name(label: str | None) -> None:
    assert values(segment(3, label, "Cyst")) == {3: 5}


def test_a_name_counts_more_than_a_description() -> None:
    assert values(segment(1, "cyst", "tumour")) == {1: 5}
    with pytest.raises(InputError, match="segmentation x: has the segment 'liver'"):
        values(segment(1, "liver", "tumour"))


def test_background_is_a_segment_of_label_maps_only() -> None:
    assert values(segment(0, "Background"), segment(7, "cyst"), is_label_map=True) == {0: 0, 7: 5}
    with pytest.raises(InputError, match="'Background', which is no class of the task; name it Tumour or cyst"):
        values(segment(1, "Background"))


def test_a_class_may_be_named_background() -> None:
    found = segment_values([segment(1, "background")], labels={"Background": 9}, is_label_map=True, where="x")
    assert found == {1: 9}


@pytest.mark.parametrize("label", ["Segment 1", "", "tumour left", "tum"])
def test_a_name_that_is_no_class_is_refused(label: str) -> None:
    with pytest.raises(InputError, match="which is no class of the task"):
        values(segment(1, label))


def test_segments_need_numbers_of_their_own() -> None:
    with pytest.raises(InputError, match="segment 'tumour' has the number 1; give each segment a number of its own"):
        values(segment(1, "cyst"), segment(1, "tumour"))
    with pytest.raises(InputError, match="has the number None"):
        values(segment(None, "cyst"))
