from pathlib import Path

import numpy as np
import pytest

from lib.images.files import write_volume
from lib.images.volume import Volume
from lib.task.task import Task
from lib.task.task_file import task_from
from scoring.label_check import LabelReview, review_label

SHAPE = (6, 5, 4)
AFFINE = np.diag([-0.5, -0.5, 4.0, 1.0])


@pytest.fixture
def task() -> Task:
    return task_from({"name": "test", "modality": "CT", "labels": {"organ": 1, "lesion": 4}}, where="test")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan.nii.gz"
    write_volume(path, Volume(np.zeros(SHAPE, np.int16), AFFINE))
    return path


def review(tmp_path: Path, scan: Path, task: Task, array: np.ndarray, affine: np.ndarray = AFFINE) -> LabelReview:
    path = tmp_path / "label.nii.gz"
    write_volume(path, Volume(array, affine))
    before = path.read_bytes()
    found = review_label(path, scan, task)
    assert path.read_bytes() == before
    return found


def test_counts_voxels_and_volumes_of_a_good_label(tmp_path: Path, scan: Path, task: Task) -> None:
    array = np.zeros(SHAPE, np.uint8)
    array[:2, :2, :2] = 1
    array[4, 4, :3] = 4
    found = review(tmp_path, scan, task, array)
    assert found == LabelReview(voxels={"organ": 8, "lesion": 3})


def test_takes_whole_numbers_stored_as_floats(tmp_path: Path, scan: Path, task: Task) -> None:
    found = review(tmp_path, scan, task, np.full(SHAPE, 4, np.float32))
    assert found.refused is None
    assert found.voxels == {"organ": 0, "lesion": 120}


def test_warns_of_an_empty_label(tmp_path: Path, scan: Path, task: Task) -> None:
    found = review(tmp_path, scan, task, np.zeros(SHAPE, np.uint8))
    assert found.refused is None
    assert len(found.warnings) == 1
    assert "holds no foreground (organ, lesion)" in found.warnings[0]
    assert found.voxels == {"organ": 0, "lesion": 0}


@pytest.mark.parametrize(
    ("value", "reason"),
    [(2, "unknown class 2; the task knows 0, 1, 4"), (0.5, "0.5, no whole number"), (np.nan, "NaN")],
)
def test_refuses_what_is_no_class(tmp_path: Path, scan: Path, task: Task, value: float, reason: str) -> None:
    array = np.zeros(SHAPE, np.float32)
    array[1, 1, 1] = value
    found = review(tmp_path, scan, task, array)
    assert found.refused is not None
    assert reason in found.refused
    assert "label.nii.gz" in found.refused
    assert "\n" not in found.refused
    assert not found.voxels


def test_refuses_another_shape(tmp_path: Path, scan: Path, task: Task) -> None:
    found = review(tmp_path, scan, task, np.zeros((6, 5, 3), np.uint8))
    assert "its scan (6, 5, 4)" in str(found.refused)


@pytest.mark.parametrize("change", [(0, 3, 0.5), (1, 1, 0.5), (2, 2, 5.0)])
def test_refuses_another_place(tmp_path: Path, scan: Path, task: Task, change: tuple[int, int, float]) -> None:
    row, column, value = change
    affine = AFFINE.copy()
    affine[row, column] = value
    found = review(tmp_path, scan, task, np.zeros(SHAPE, np.uint8), affine)
    assert "grid of the scan" in str(found.refused)


def test_refuses_a_truncated_or_missing_label(tmp_path: Path, scan: Path, task: Task) -> None:
    path = tmp_path / "label.nii.gz"
    assert "no such file" in str(review_label(path, scan, task).refused)
    write_volume(path, Volume(np.random.default_rng(0).integers(0, 2, SHAPE, np.uint8), AFFINE))
    path.write_bytes(path.read_bytes()[:60])
    assert "cannot be read as an image" in str(review_label(path, scan, task).refused)
