"""What holds of every calibration, now and later."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lib
from lib.calibration.member_outputs import MemberOutputs
from lib.calibration.registry import CALIBRATIONS
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics, reduce_outputs
from tests.tiny_training import a_task

NEW = """
from lib.calibration.base import Calibration


class Certain(Calibration):
    @classmethod
    def fit(cls, statistics, task):
        return cls()

    def heatmap(self, outputs):
        return outputs.segmentations.any(axis=(0, 1))[None]
"""

every_heatmap = pytest.mark.parametrize("heatmap", CALIBRATIONS)


def some_outputs(seed: int, members: int) -> MemberOutputs:
    """Of two folds for two classes, of noise."""
    rng = np.random.default_rng(seed)
    softmax = rng.dirichlet([2, 0.4, 0.4], (2, members, 5, 4, 3)).astype(np.float32)
    softmax = np.moveaxis(softmax, -1, 2)
    mean = softmax.mean(axis=0)
    return MemberOutputs(
        softmax.argmax(axis=2).astype(np.uint8),
        softmax[:, members // 2],
        joint_segmentations=mean.argmax(axis=1).astype(np.uint8),
        member_softmax=mean[:, 1:],
    )


def some_statistics(outputs: MemberOutputs) -> OutOfFoldStatistics:
    label = np.random.default_rng(0).integers(0, 3, (5, 4, 3), np.uint8)
    softmax, members = outputs.member_softmax, outputs.segmentations.shape[1]
    return reduce_outputs(softmax, outputs.segmentations[0], label, served=members // 2)


@every_heatmap
@pytest.mark.parametrize("settings", [{}, {"folds": "vote"}, {"solver": "unconstrained"}])
def test_every_heatmap_is_of_probabilities(heatmap: str, settings: dict[str, str]) -> None:
    task = a_task(heatmap=heatmap, **settings)
    outputs = some_outputs(1, len(task.offsets))
    calibration = CALIBRATIONS[heatmap].fit(some_statistics(outputs), task)
    h = calibration.heatmap(outputs)
    assert (h.shape, h.dtype) == ((2, 5, 4, 3), np.float32)
    assert h.min() >= 0
    assert 0 < h.max() <= 1
    np.testing.assert_array_equal(CALIBRATIONS[heatmap].fit(some_statistics(outputs), task).heatmap(outputs), h)


@every_heatmap
def test_every_fit_survives_json(heatmap: str) -> None:
    outputs = some_outputs(2, 3)
    calibration = CALIBRATIONS[heatmap].fit(some_statistics(outputs), a_task())
    assert CALIBRATIONS[heatmap].model_validate_json(calibration.model_dump_json()) == calibration


@every_heatmap
def test_without_any_statistics_the_heatmap_is_zero(heatmap: str) -> None:
    calibration = CALIBRATIONS[heatmap].fit(OutOfFoldStatistics.zeros(2, 3), a_task())
    assert not calibration.heatmap(some_outputs(3, 3)).any()


def test_a_class_and_a_line_in_the_registry_are_all_that_a_new_calibration_needs(tmp_path: Path) -> None:
    shutil.copytree(Path(lib.__file__).parent, tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "lib" / "calibration" / "certain.py").write_text(NEW)
    registry = tmp_path / "lib" / "calibration" / "registry.py"
    added = 'from lib.calibration.certain import Certain\n\nCALIBRATIONS["certain"] = Certain\n'
    registry.write_text(registry.read_text() + added)
    ask = (
        "from lib.task.task_file import task_from; "
        "task = task_from({'name': 'a', 'modality': 'CT', 'labels': {'a': 1}, 'heatmap': 'certain'}, where='here'); "
        "print(task.heatmap)"
    )
    told = subprocess.run([sys.executable, "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout == "certain\n"
