"""A task and scans so small and plain that a whole ensemble is trained in seconds."""

import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from lib.datasets.scans import LabelledScan
from lib.images.files import write_volume
from lib.images.volume import Volume
from lib.models.generation import Generation
from lib.models.workspace import Workspace
from lib.preprocessing.plan import Plan
from lib.preprocessing.prepared_scans import PreparedScan
from lib.simulation.phantoms import PhantomFiles
from lib.task.task import Task
from lib.task.task_file import task_from
from lib.training.folds import Fold
from lib.training.stage import Stage

SETTINGS: dict[str, Any] = {
    "name": "tiny",
    # Each scan is normalised by itself, so that a new label changes no plan.
    "modality": "MR",
    "labels": {"lesion": 1},
    "spacing": [3, 3, 3],
    "w_dsc": [-1.0],
    "offsets": [-1, 0, 1],
    "fold_count": 2,
    "network": {"init_filters": 4, "blocks_down": [1, 1]},
    "training": {
        "iterations": 16,
        "batch_size": 2,
        "patch_voxels": 3000,
        "optimizer": "adamw",
        "learning_rate": 0.02,
    },
}


@dataclass(frozen=True)
class Trained:
    """A trained workspace; tests must not write into it."""

    task: Task
    scans: tuple[LabelledScan, ...]
    workspace: Workspace
    generation: Generation


class TrainingLog:
    """What was trained since the log was emptied: fold's training scans, stage, loss weight."""

    def __init__(self) -> None:
        self.stages: list[tuple[tuple[str, ...], Stage]] = []

    def count(self, number: int | None = None) -> int:
        """How many stages were trained, or how many with this number."""
        return sum(number in (None, stage.number) for _, stage in self.stages)


def a_task(**settings: Any) -> Task:
    """The tiny task with other settings; those of `training` are merged."""
    training = SETTINGS["training"] | settings.pop("training", {})
    return task_from(SETTINGS | settings | {"training": training}, where="tiny.yaml")


def a_plan(**settings: Any) -> Plan:
    """A plan for arrays that lie on the network's grid."""
    default = {
        "spacing": (3, 3, 3),
        "intensity": {"kind": "per_scan"},
        "shape_factor": (2, 2, 2),
        "patch_size": (12, 12, 12),
        "window_size": (16, 16, 16),
    }
    return Plan.model_validate(default | settings)


def labelled(files: Sequence[PhantomFiles], *, region: bool = False) -> tuple[LabelledScan, ...]:
    """Phantoms as labelled scans, each its own patient."""
    return tuple(
        LabelledScan(file.name, file.scan, file.label, patient=file.name, region=file.region if region else None)
        for file in files
    )


def prepared(
    folder: Path, name: str, image: np.ndarray, label: np.ndarray, region: np.ndarray | None = None
) -> PreparedScan:
    """A prepared scan of these arrays, whose centres are all its foreground inside the region."""
    target = folder / name
    target.mkdir(parents=True)
    inside = label > 0 if region is None else (label > 0) & region
    arrays = {"image": image.astype(np.float32), "label": label.astype(np.uint8)}
    arrays["centres"] = np.argwhere(inside).astype(np.int32)
    if region is not None:
        arrays["region"] = region.astype(bool)
    for key, array in arrays.items():
        np.save(target / f"{key}.npy", array)
    return PreparedScan(name, patient=name, digest=name, folder=target)


def a_ball(shape: Sequence[int], centre: Sequence[float], radius: float) -> np.ndarray:
    """A ball, bool, in voxels."""
    axes = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    return sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)) <= radius**2


def ball_scan(folder: Path, name: str, seed: int, shape: Sequence[int] = (20, 20, 14)) -> PreparedScan:
    """A prepared scan of a bright ball under noise."""
    rng = np.random.default_rng(seed)
    ball = a_ball(shape, rng.uniform(0.35, 0.65, 3) * shape, 0.25 * shape[0])
    return prepared(folder, name, ball * 2.0 + rng.normal(scale=0.5, size=shape), ball)


def a_ball_volume(index: int, *, orientation: str = "RAS", tilt: float = 0.0) -> tuple[Volume, Volume]:
    """Scan and label of a bright ball that any network finds; another orientation leaves it where it is.

    The voxels are those of the task's network. `tilt` turns the patient about the first axis, in degrees.
    """
    shape, rng = (20, 18, 14), np.random.default_rng(index)
    ball = a_ball(shape, rng.uniform(0.4, 0.6, 3) * shape, rng.uniform(3.5, 5))
    grey = (ball * 100 + rng.normal(scale=20, size=shape)).round().astype(np.float32)
    affine = np.diag([3.0, 3, 3, 1])
    affine[:3, 3] = (-30, 12, 7)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(t := np.radians(tilt)), -np.sin(t)], [np.sin(t), np.cos(t)]]
    axes = nib.orientations.axcodes2ornt(orientation)
    change = turn @ affine @ nib.orientations.inv_ornt_aff(axes, shape)
    scan, label = (nib.orientations.apply_orientation(array, axes).copy() for array in (grey, ball.astype(np.uint8)))
    return Volume(scan, change), Volume(label, change)


def write_balls(folder: Path, count: int) -> tuple[LabelledScan, ...]:
    """Files of balls 0 to count - 1, each of its own patient."""
    scans = []
    for index in range(count):
        name = f"ball_{index}"
        paths = [folder / part / f"{name}.nii.gz" for part in ("images", "labels")]
        for path, volume in zip(paths, a_ball_volume(index), strict=True):
            write_volume(path, volume)
        scans.append(LabelledScan(name, *paths, patient=name))
    return tuple(scans)


@contextmanager
def full_disk(size: int = 4096) -> Iterator[None]:
    """No file can grow beyond so many bytes: the write fails as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def record_training(monkeypatch: pytest.MonkeyPatch) -> TrainingLog:
    """Log every stage that is trained from now on, and train it."""
    from lib.training import members

    log, train_stage = TrainingLog(), members.train_stage

    def logged(network: Any, scans: Sequence[PreparedScan], stage: Stage, **others: Any) -> None:
        log.stages.append((tuple(scan.name for scan in scans), stage))
        train_stage(network, scans, stage, **others)

    monkeypatch.setattr(members, "train_stage", logged)
    return log


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def two_folds(scans: Sequence[PreparedScan]) -> list[Fold]:
    """The first half and the second half judge each other."""
    half = len(scans) // 2
    first, second = tuple(scans[:half]), tuple(scans[half:])
    return [Fold(0, training=second, validation=first), Fold(1, training=first, validation=second)]
