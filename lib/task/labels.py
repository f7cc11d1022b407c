"""Class indices inside, the task's label values in files."""

import numpy as np

from lib.task.task import Task


def class_indices(label: np.ndarray, task: Task) -> np.ndarray:
    """Class indices of a label with the task's values.

    Args:
        label: whole numbers, any shape, 0 or one of the values of `task.labels`.
        task: gives the order of the classes.

    Returns:
        uint8, same shape: 0 background, c for the c-th class of `task.classes`, counted from 1.

    Raises:
        ValueError: the label holds another value; `lib.images.files.read_label` refuses such files.
    """
    table = np.full(256, -1, dtype=np.int16)
    table[[0, *task.labels.values()]] = np.arange(len(task.labels) + 1)
    if label.dtype != np.uint8:
        _require_bytes(label)
    indices = table[label.astype(np.uint8, copy=False)]
    if (indices < 0).any():
        unknown = np.unique(label[indices < 0]).tolist()
        raise ValueError(f"label values {unknown[:5]} are unknown; the task has {sorted(task.labels.values())}")
    return indices.astype(np.uint8)


def label_values(segmentation: np.ndarray, task: Task) -> np.ndarray:
    """Label with the task's values of a segmentation of class indices.

    Args:
        segmentation: class indices 0..C, any shape.
        task: gives the value of each class.

    Returns:
        uint8, same shape, holding 0 and the values of `task.labels`.

    Raises:
        IndexError: an index above C.
    """
    return np.array([0, *task.labels.values()], dtype=np.uint8)[segmentation]


def _require_bytes(label: np.ndarray) -> None:
    if label.size and not ((label >= 0) & (label <= 255) & (label == np.floor(label))).all():
        raise ValueError("label values must be whole numbers from 0 to 255")
