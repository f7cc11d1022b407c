"""The one rule by which a name means a class; how segments come by their names is tested in `lib.dicom`."""

import numpy as np
import pytest

from lib.errors import InputError
from lib.task.class_names import class_value, named_values, replace_values

LABELS = {"liver": 1, "tumour": 2}


@pytest.mark.parametrize("name", ["liver", " Liver\t", "LIVER"])
def test_case_and_blanks_do_not_matter(name: str) -> None:
    assert class_value(name, LABELS) == 1


def test_values_get_the_numbers_of_the_task_by_their_names() -> None:
    assert named_values({1: "tumour", 2: "liver", 3: "ruler"}, present=[1, 2], labels=LABELS, where="x") == {1: 2, 2: 1}


@pytest.mark.parametrize(
    ("names", "told"),
    [({1: "spleen"}, "x: has the segment 'spleen'.*liver or tumour"), ({2: "liver"}, "x: holds the value 1")],
)
def test_what_has_no_class_is_refused(names: dict[int, str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        named_values(names, present=[1], labels=LABELS, where="x")


def test_swapped_values_do_not_meet() -> None:
    assert replace_values(np.array([0, 1, 2], np.uint8), {1: 2, 2: 1}).tolist() == [0, 2, 1]
