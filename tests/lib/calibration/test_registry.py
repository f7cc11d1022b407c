"""What holds of every calibration, now and later."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

import lib
from lib.calibration.member_outputs import MemberOutputs
from lib.calibration.registry import CALIBRATORS
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics, reduce_outputs
from tests.tiny_training import a_task

STORED = {
    "votes": '{"coefficients":[[0.25,0.5]],"combination":"vote"}',
    "soft": '{"coefficients":[[0.25,0.5]]}',
    "single": '{"curves":[{"slope":1.5,"intercept":-0.5},null]}',
    "single_isotonic": '{"curves":[{"softmax":[0.1,0.9],"probability":[0.0,1.0]},null]}',
}
"""What generations hold under these names, whatever the classes are called."""

NEW = """
from lib.calibration.base import Calibration, Calibrator


class Certainty(Calibration):
    @property
    def rises(self):
        return (True,)

    def heatmap(self, outputs):
        return outputs.segmentations.any(axis=(0, 1))[None]


class Certain(Calibrator):
    fitted = Certainty

    def fit(self, statistics):
        return Certainty()
"""

every_heatmap = pytest.mark.parametrize("heatmap", CALIBRATORS)


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
    calibration = task.calibrator.fit(some_statistics(outputs))
    h = calibration.heatmap(outputs)
    assert (h.shape, h.dtype) == ((2, 5, 4, 3), np.float32)
    assert h.min() >= 0
    assert 0 < h.max() <= 1
    np.testing.assert_array_equal(task.calibrator.fit(some_statistics(outputs)).heatmap(outputs), h)


@every_heatmap
@pytest.mark.parametrize("solver", ["nonnegative", "unconstrained"])
def test_a_calibration_rises_for_what_members_find_and_not_for_what_none_of_them_knows(
    heatmap: str, solver: str
) -> None:
    label = np.random.default_rng(0).integers(0, 3, (6, 5, 4), np.uint8)
    noise = np.random.default_rng(1).random((3, 6, 5, 4), np.float32)
    of_first = np.where(label == 1, 0.6 + 0.3 * noise, 0.3 * noise)
    softmax = np.stack([of_first, np.zeros_like(of_first)], axis=1)
    statistics = reduce_outputs(softmax, (of_first > 0.5).astype(np.uint8), label, served=1)
    assert a_task(heatmap=heatmap, solver=solver).calibrator.fit(statistics).rises == (True, False)


@every_heatmap
def test_every_fit_survives_json(heatmap: str) -> None:
    outputs = some_outputs(2, 3)
    calibration = CALIBRATORS[heatmap]().fit(some_statistics(outputs))
    assert type(calibration) is CALIBRATORS[heatmap].fitted
    assert CALIBRATORS[heatmap].fitted.model_validate_json(calibration.model_dump_json()) == calibration


@every_heatmap
def test_what_generations_hold_is_read_and_written_as_before(heatmap: str) -> None:
    assert set(STORED) == set(CALIBRATORS)
    assert CALIBRATORS[heatmap].fitted.model_validate_json(STORED[heatmap]).model_dump_json() == STORED[heatmap]


@every_heatmap
def test_settings_are_settings_alone_and_fitting_leaves_them_as_they_are(heatmap: str) -> None:
    calibrator, outputs = CALIBRATORS[heatmap](), some_outputs(4, 3)
    before = calibrator.model_dump()
    calibrator.fit(some_statistics(outputs))
    assert calibrator.model_dump() == before
    assert calibrator == CALIBRATORS[heatmap](**before)
    with pytest.raises(ValidationError, match="nonsense"):
        CALIBRATORS[heatmap](nonsense=1)


@every_heatmap
def test_without_any_statistics_the_heatmap_is_zero(heatmap: str) -> None:
    calibration = CALIBRATORS[heatmap]().fit(OutOfFoldStatistics.zeros(2, 3))
    assert not calibration.heatmap(some_outputs(3, 3)).any()


def test_a_class_and_a_line_in_the_registry_are_all_that_a_new_calibration_needs(tmp_path: Path) -> None:
    shutil.copytree(Path(lib.__file__).parent, tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "lib" / "calibration" / "certain.py").write_text(NEW)
    registry = tmp_path / "lib" / "calibration" / "registry.py"
    line = '    "single": Platt,\n'
    assert line in registry.read_text()
    added = registry.read_text().replace(line, line + '    "certain": Certain,\n')
    registry.write_text("from lib.calibration.certain import Certain\n" + added)
    ask = (
        "from lib.task.task_file import task_from; "
        "task = task_from({'name': 'a', 'modality': 'CT', 'labels': {'a': 1}, 'heatmap': 'certain'}, where='here'); "
        "print(type(task.calibrator).__name__)"
    )
    told = subprocess.run([sys.executable, "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout == "Certain\n"
