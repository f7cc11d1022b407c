"""Mapping between the task's label values and class indices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.task.labels import class_indices, label_values
from lib.task.task import Task
from lib.task.task_file import task_from


def _task(values: list[int]) -> Task:
    labels = {f"class_{position}": value for position, value in enumerate(values)}
    return task_from({"name": "t", "modality": "MR", "labels": labels}, where="test")


def test_class_indices_follow_the_order_of_the_task_not_of_the_values() -> None:
    label = np.array([[0, 7], [3, 255]], dtype=np.uint8)
    assert class_indices(label, _task([7, 255, 3])).tolist() == [[0, 1], [3, 2]]


@given(values=st.lists(st.integers(1, 255), min_size=1, max_size=255, unique=True), seed=st.integers(0, 99))
def test_label_values_undo_class_indices(values: list[int], seed: int) -> None:
    task = _task(values)
    label = np.random.default_rng(seed).choice(np.array([0, *values], dtype=np.uint8), size=(3, 4, 5))
    indices = class_indices(label, task)
    assert indices.dtype == np.uint8
    assert indices.max() <= len(values)
    restored = label_values(indices, task)
    assert restored.dtype == np.uint8
    np.testing.assert_array_equal(restored, label)


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.float32, np.float64])
def test_whole_numbers_of_any_type_are_mapped(dtype: type) -> None:
    assert class_indices(np.array([0, 4, 2], dtype=dtype), _task([2, 4])).tolist() == [0, 2, 1]


@pytest.mark.parametrize("value", [5, 256, -1, 258])
def test_an_unknown_value_is_refused(value: int) -> None:
    # 258 is 2 modulo 256: a plain cast would take it for a known class.
    with pytest.raises(ValueError, match="label values"):
        class_indices(np.array([0, value], dtype=np.int16), _task([2]))


def test_a_fraction_is_refused() -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        class_indices(np.array([0, 1.5]), _task([1]))


def test_an_index_beyond_the_classes_is_refused() -> None:
    with pytest.raises(IndexError):
        label_values(np.array([0, 2], dtype=np.uint8), _task([9]))
