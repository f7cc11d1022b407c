"""A label beside a heatmap that is known, or quickly found out; the comparison itself is tested in `lib.quality`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from apps.calibrated_ensemble.monai_tasks.label_expectation import QUICK_SECONDS, doubts_about
from apps.calibrated_ensemble.monai_tasks.prediction_cache import ScanPrediction
from lib.errors import InputError
from lib.images.files import write_volume
from lib.images.volume import Volume
from lib.models.prediction import Prediction
from lib.task.task_file import task_from
from scoring.database.engine import open_database
from scoring.database.scan_list import synchronise_scans
from scoring.database.score_records import record_score

TASK = task_from({"name": "one", "modality": "CT", "labels": {"lesion": 3}}, where="test")
SHAPE = (8, 8, 8)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])


def lesion() -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    array[2:6, 2:6, 2:6] = 1
    return array


@dataclass
class Predictions:
    """Expects the lesion."""

    is_known: bool
    asked: list[Path] = field(default_factory=list)
    generation: str | None = "g"

    def known(self, image: Path, region: Path | None = None) -> ScanPrediction | None:  # noqa: ARG002
        return self.made() if self.is_known else None

    def predict(self, image: Path, region: Path | None = None) -> ScanPrediction:  # noqa: ARG002
        self.asked.append(image)
        return self.made()

    def made(self) -> ScanPrediction:
        heatmap = (0.05 + 0.9 * lesion())[None].astype(np.float32)
        return ScanPrediction(Prediction(lesion(), heatmap, AFFINE, "g", ("lesion",), (0.0,)), TASK, seconds=1.0)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(tmp_path / "database.sqlite")
    synchronise_scans(engine, ["scan"], [])
    yield engine
    engine.dispose()


def doubts(
    folder: Path, engine: Engine, predictions: Predictions, array: np.ndarray, region: Path | None = None
) -> list:
    write_volume(folder / "label.nii.gz", Volume(array * np.uint8(3), AFFINE))
    image = folder / "scan.nii.gz"
    found = doubts_about("scan", folder / "label.nii.gz", image, region, predictions=predictions, engine=engine)
    return [(doubt["kind"], doubt["class"]) for doubt in found]


def test_a_missing_class_is_told_with_its_place(tmp_path: Path, engine: Engine) -> None:
    assert doubts(tmp_path, engine, Predictions(is_known=True), np.zeros(SHAPE, np.uint8)) == [
        ("missing_class", "lesion")
    ]
    assert doubts(tmp_path, engine, Predictions(is_known=True), lesion()) == []


@pytest.mark.parametrize(("seconds", "asked"), [(QUICK_SECONDS - 1, 1), (QUICK_SECONDS + 1, 0)])
def test_a_scan_is_predicted_where_that_takes_no_time(
    tmp_path: Path, engine: Engine, seconds: float, asked: int
) -> None:
    record_score(engine, "scan", "g", {"lesion": 0.5}, seconds=seconds)
    predictions = Predictions(is_known=False)
    found = doubts(tmp_path, engine, predictions, np.zeros(SHAPE, np.uint8))
    assert (len(predictions.asked), len(found)) == (asked, asked)


def test_a_scan_of_which_nothing_is_known_is_not_waited_for(tmp_path: Path, engine: Engine) -> None:
    predictions = Predictions(is_known=False)
    assert doubts(tmp_path, engine, predictions, lesion()) == []
    assert predictions.asked == []


def test_what_lies_outside_the_region_is_told_elsewhere(tmp_path: Path, engine: Engine) -> None:
    region = np.ones(SHAPE, np.uint8)
    region[:, :, 6:] = 0
    write_volume(tmp_path / "region.nii.gz", Volume(region, AFFINE))
    array = lesion()
    array[:, :, 6:] = 1
    found = doubts(tmp_path, engine, Predictions(is_known=True), array, tmp_path / "region.nii.gz")
    assert found == []


def test_a_prediction_that_fails_does_not_fail_the_submission(
    tmp_path: Path, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Predictions):
        def known(self, image: Path, region: Path | None = None) -> ScanPrediction | None:
            raise InputError(f"{image}: is gone ({region})")

    assert doubts(tmp_path, engine, Failing(is_known=True), lesion()) == []
    assert "is gone" in caplog.text
