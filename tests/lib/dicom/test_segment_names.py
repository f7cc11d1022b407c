"""The one rule by which a segment's name means a class, in DICOM segmentations and in submitted labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from lib.dicom.segment_names import segment_name, segment_values, values_by_name
from lib.errors import InputError
from lib.task.class_names import class_value, replace_values

LABELS = {"Tumour": 2, "cyst": 5}
SUBMITTED = {"anterior": 1, "posterior": 2}


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


def entry(name: str, idx: int) -> dict[str, object]:
    return {"name": name, "idx": idx}


def test_a_label_in_which_only_the_second_class_was_drawn_gets_its_value() -> None:
    assert values_by_name([entry("posterior", 1)], present=[1], labels=SUBMITTED) == {1: 2}


def test_segments_in_another_order_are_swapped() -> None:
    info = [entry("Posterior ", 1), entry("anterior", 2)]
    assert values_by_name(info, present=[1, 2], labels=SUBMITTED) == {1: 2, 2: 1}


def test_slicer_counts_a_segment_that_it_does_not_send() -> None:
    info = [entry("anterior", 2), entry("posterior", 3)]
    assert values_by_name(info, present=[1, 2], labels=SUBMITTED) == {}
    assert values_by_name(info[::-1], present=[1, 2], labels=SUBMITTED) == {1: 2, 2: 1}


def test_a_segment_that_is_listed_but_not_drawn_does_not_matter() -> None:
    info = [entry("anterior", 1), entry("ruler", 2)]
    assert values_by_name(info, present=[1], labels=SUBMITTED) == {}


@pytest.mark.parametrize("info", [None, [], {}, "anterior", [{"idx": 1}], [entry("anterior", 7)], [3]])
def test_what_names_no_value_changes_nothing(info: object) -> None:
    assert values_by_name(info, present=[1, 2], labels=SUBMITTED) == {}


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"segment 'Segment_1'.*anterior or posterior"):
        values_by_name([entry("Segment_1", 1)], present=[1], labels=SUBMITTED)


@given(st.dictionaries(st.integers(1, 255), st.integers(1, 255)), st.lists(st.integers(0, 255), min_size=1))
def test_values_are_replaced_all_at_once(values: dict[int, int], label: list[int]) -> None:
    array = np.array(label, dtype=np.uint8)
    assert replace_values(array, values).tolist() == [values.get(value, value) for value in label]


@pytest.mark.parametrize("name", ["STRASSE", "Straße", " strasse\t", "straSSe"])
def test_segmentations_and_submitted_labels_are_compared_by_one_rule(name: str) -> None:
    labels = {"Straße": 7}
    assert class_value(name, labels) == 7
    assert segment_values([segment(1, name)], labels=labels, is_label_map=False, where="x") == {1: 7}
    assert values_by_name([entry(name, 1)], present=[1], labels=labels) == {1: 7}


def test_the_background_is_a_class_of_label_maps_alone() -> None:
    assert class_value("Background ", LABELS, is_label_map=True) == 0
    assert class_value("Background", LABELS) is None
    assert class_value("background", {"Background": 9}, is_label_map=True) == 9


@pytest.mark.parametrize(
    ("label", "description", "name"),
    [
        ("Segment 1", "lesion", "lesion"),
        ("Segment 1", None, "Segment 1"),
        (None, "lesion", "lesion"),
        ("organ", "lesion", "organ"),
        ("Segment left", "lesion", "Segment left"),
        (None, None, ""),
    ],
)
def test_a_segment_is_named_by_its_label_unless_that_is_a_stopgap(
    label: str | None, description: str | None, name: str
) -> None:
    assert segment_name(segment(1, label, description)) == name
