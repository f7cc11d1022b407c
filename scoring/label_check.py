"""Checking a label that an annotator submitted, before it is learned from."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lib.errors import InputError
from lib.images.files import read_label, read_scan
from lib.task.task import Task


@dataclass(frozen=True)
class LabelReview:
    """What is wrong with a label, and what is in it.

    Attributes:
        refused: why it cannot be learned from and what to do; None when it can.
        warnings: what a second look is worth, one line each.
        voxels: number of voxels of each class, by its name; empty when refused.
    """

    refused: str | None = None
    warnings: tuple[str, ...] = ()
    voxels: dict[str, int] = field(default_factory=dict)


def review_label(label_path: Path, scan_path: Path, task: Task) -> LabelReview:
    """Check a label; the file itself is only read.

    A label is refused when it cannot be read, lies on another grid than its scan, or holds a value
    that is not finite, not whole or not of the task. A label without foreground is right where
    there is nothing to see and an accident otherwise: a warning.

    Args:
        label_path: the label, in the task's label values.
        scan_path: its scan.
        task: knows the classes.
    """
    try:
        scan = read_scan(scan_path)
        label = read_label(label_path, values=task.labels.values(), scan=scan)
    except InputError as error:
        return LabelReview(refused=str(error))
    voxels = {name: int(np.count_nonzero(label.array == value)) for name, value in task.labels.items()}
    warnings = []
    if not any(voxels.values()):
        warnings.append(
            f"{label_path}: holds no foreground ({', '.join(task.classes)}); "
            "if the scan shows any, draw it and submit again"
        )
    return LabelReview(warnings=tuple(warnings), voxels=voxels)
