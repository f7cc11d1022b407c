"""Checking a label that an annotator submitted, before it is learned from."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lib.errors import InputError
from lib.images.files import read_grid, read_label
from lib.images.region import read_region
from lib.quality.label_doubts import LabelDoubt, outside_region
from lib.task.labels import class_indices
from lib.task.task import Task


@dataclass(frozen=True)
class LabelReview:
    """What is wrong with a label, and what is in it.

    Attributes:
        refused: why it cannot be learned from and what to do; None when it can.
        warnings: what a second look is worth, one line each; those of the doubts are among them.
        doubts: of them, what has a place in the scan.
        voxels: number of voxels of each class, by its name; empty when refused.
        affine: of the scan, shape (4, 4), from voxel indices to RAS millimetres.
    """

    refused: str | None = None
    warnings: tuple[str, ...] = ()
    doubts: tuple[LabelDoubt, ...] = ()
    voxels: dict[str, int] = field(default_factory=dict)
    affine: np.ndarray = field(default_factory=lambda: np.eye(4), repr=False, compare=False)


def review_label(label_path: Path, scan_path: Path, task: Task, *, region: Path | None = None) -> LabelReview:
    """Check a label; the file itself is only read, and of the scan no more than where its voxels lie.

    A label is refused when it cannot be read, lies on another grid than its scan, or holds a value
    that is not finite, not whole or not of the task. A label without foreground is right where
    there is nothing to see and an accident otherwise: a warning. So is one that leaves the region mask.

    Args:
        label_path: the label, in the task's label values.
        scan_path: its scan.
        task: knows the classes.
        region: mask of the scan, if it has one.
    """
    try:
        grid = read_grid(scan_path)
        label = read_label(label_path, values=task.labels, scan=grid)
    except InputError as error:
        return LabelReview(refused=str(error))
    counts = np.bincount(label.array.ravel(), minlength=256)
    voxels = {name: int(counts[value]) for name, value in task.labels.items()}
    warnings: list[str] = []
    doubts: list[LabelDoubt] = []
    if not any(voxels.values()):
        warnings.append(
            f"{label_path}: holds no foreground ({', '.join(task.classes)}); "
            "if the scan shows any, draw it and submit again"
        )
    if region is not None:
        try:
            mask = read_region(region, grid)
        except InputError as error:  # that is no fault of the label
            warnings.append(f"what lies outside the region mask is not known: {error}")
        else:
            indices = class_indices(label.array, task)
            doubts = outside_region(
                indices, mask.array, classes=task.classes, affine=grid.affine, region_name=str(task.region)
            )
    warnings += [doubt.message for doubt in doubts]
    return LabelReview(warnings=tuple(warnings), doubts=tuple(doubts), voxels=voxels, affine=grid.affine)
