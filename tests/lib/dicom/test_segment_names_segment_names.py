import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.dicom.segment_names import replace_values, values_by_name
from lib.errors import InputError

LABELS = {"anterior": 1, "posterior": 2}


def entry(name: str, idx: int) -> dict[str, object]:
    return {"name": name, "idx": idx}


def test_a_label_in_which_only_the_second_class_was_drawn_gets_its_value() -> None:
    assert values_by_name([entry("posterior", 1)], present=[1], labels=LABELS) == {1: 2}


def test_segments_in_another_order_are_swapped() -> None:
    info = [entry("Posterior ", 1), entry("anterior", 2)]
    assert values_by_name(info, present=[1, 2], labels=LABELS) == {1: 2, 2: 1}


def test_slicer_counts_a_segment_that_it_does_not_send() -> None:
    info = [entry("anterior", 2), entry("posterior", 3)]
    assert values_by_name(info, present=[1, 2], labels=LABELS) == {}
    assert values_by_name(info[::-1], present=[1, 2], labels=LABELS) == {1: 2, 2: 1}


def test_a_segment_that_is_listed_but_not_drawn_does_not_matter() -> None:
    info = [entry("anterior", 1), entry("ruler", 2)]
    assert values_by_name(info, present=[1], labels=LABELS) == {}


@pytest.mark.parametrize("info", [None, [], {}, "anterior", [{"idx": 1}], [entry("anterior", 7)], [3]])
def test_what_names_no_value_changes_nothing(info: object) -> None:
    assert values_by_name(info, present=[1, 2], labels=LABELS) == {}


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"segment 'Segment_1'.*anterior or posterior"):
        values_by_name([entry("Segment_1", 1)], present=[1], labels=LABELS)


@given(st.dictionaries(st.integers(1, 255), st.integers(1, 255)), st.lists(st.integers(0, 255), min_size=1))
def test_values_are_replaced_all_at_once(values: dict[int, int], label: list[int]) -> None:
    array = np.array(label, dtype=np.uint8)
    assert replace_values(array, values).tolist() == [values.get(value, value) for value in label]
