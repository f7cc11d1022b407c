import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from apps.calibrated_ensemble.monai_tasks import prediction_cache as predictions
from apps.calibrated_ensemble.monai_tasks.heatmap_infer import HeatmapInfer, probability_bands, probability_levels
from apps.calibrated_ensemble.monai_tasks.prediction_cache import PredictionCache
from apps.calibrated_ensemble.monai_tasks.segmentation_infer import SegmentationInfer, names_by_place
from lib.errors import InputError, NotTrainedError
from lib.images.files import write_volume
from lib.images.volume import Volume
from lib.models.prediction import Prediction
from lib.models.workspace import Workspace
from lib.task.task import Task
from lib.task.task_file import task_from

AFFINE = np.diag([-2.0, 2.0, 3.0, 1.0])


@pytest.fixture
def task() -> Task:
    labels = {"anterior": 4, "posterior": 9}
    return task_from({"name": "two", "modality": "MR", "labels": labels, "region": "brain"}, where="test")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, array: np.ndarray) -> Path:
        path = tmp_path / name
        write_volume(path, Volume(array.astype(np.float32), AFFINE))
        return path

    return write


@pytest.fixture
def workspace(tmp_path: Path, task: Task, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A workspace whose generations segment by thresholds: 1 above 10, 2 above 20."""

    class ThresholdEnsemble:
        def __init__(self, generation: Any, *, device: str):
            assert device == "cpu"
            self.generation = generation

        def predict(self, scan: Volume, region: Volume | None = None) -> Prediction:
            inside = np.ones(scan.shape, bool) if region is None else region.array.astype(bool)
            segmentation = (np.digitize(scan.array, [10, 20]) * inside).astype(np.uint8)
            heatmap = np.stack([(segmentation == 1) * 0.84, (segmentation == 2) * 0.36]).astype(np.float32)
            workspace.predicted += 1
            return Prediction(
                segmentation, heatmap, scan.affine, self.generation.id, task.classes, self.generation.typical_volumes
            )

    def generation() -> SimpleNamespace:
        if workspace.id is None:
            raise NotTrainedError("no model is trained yet")
        return SimpleNamespace(id=workspace.id, task=task, typical_volumes=(100.0, 100.0))

    workspace = SimpleNamespace(id="first", predicted=0, current=lambda: workspace.id, generation=generation)
    monkeypatch.setattr(predictions, "Ensemble", ThresholdEnsemble)
    return workspace


@pytest.fixture
def predictor(workspace: Workspace) -> PredictionCache:
    return PredictionCache(workspace, device="cpu")


@pytest.fixture
def scan(write: Callable[..., Path]) -> Path:
    return write("scan.nii.gz", np.arange(27).reshape(3, 3, 3))


def test_the_label_file_holds_the_tasks_values_on_the_scans_grid(
    task: Task, predictor: PredictionCache, scan: Path
) -> None:
    file, params = SegmentationInfer(task, predictor)({"image": str(scan)})
    image = nib.load(file)
    expected = np.array([0, 4, 9])[np.digitize(np.arange(27).reshape(3, 3, 3), [10, 20])]
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), expected)
    assert image.get_data_dtype() == np.uint8
    np.testing.assert_allclose(image.affine, AFFINE)
    named = {value: name for name, value in params["label_names"].items()}
    assert (named[4], named[9]) == ("anterior", "posterior")
    assert params["volumes_mm3"] == {"anterior": 10 * 12.0, "posterior": 7 * 12.0}
    assert params["generation"] == "first"
    # 2 sum(h p) / (sum(h) + sum(p)) with h constant inside p and 0 outside is 2 h / (h + 1).
    assert params["estimated_dsc"] == pytest.approx({"anterior": 1.68 / 1.84, "posterior": 0.72 / 1.36})
    assert params["mean_estimated_dsc"] == pytest.approx((1.68 / 1.84 + 0.72 / 1.36) / 2)


def test_the_heatmap_has_a_channel_per_class(task: Task, predictor: PredictionCache, scan: Path) -> None:
    file, params = HeatmapInfer(task, predictor)({"image": str(scan)})
    heatmap = np.asanyarray(nib.load(file).dataobj)
    assert heatmap.shape == (3, 3, 3, 2)
    assert heatmap.dtype == np.float32
    assert np.unique(heatmap[..., 1]) == pytest.approx([0, 0.36])
    assert params["classes"] == ["anterior", "posterior"]


def test_one_class_is_chosen_by_its_name(task: Task, predictor: PredictionCache, scan: Path) -> None:
    infer = HeatmapInfer(task, predictor)
    file, params = infer({"image": str(scan), "class": "posterior"})
    heatmap = np.asanyarray(nib.load(file).dataobj)
    assert heatmap.shape == (3, 3, 3)
    assert np.unique(heatmap) == pytest.approx([0, 0.36])
    assert params["classes"] == ["posterior"]
    with pytest.raises(InputError, match="'liver'; give one of anterior, posterior"):
        infer({"image": str(scan), "class": "liver"})


@pytest.mark.parametrize("sent_back", [None, "all", ["all", "anterior", "posterior"]])
def test_bands_show_the_most_probable_class(
    task: Task, predictor: PredictionCache, scan: Path, sent_back: str | list[str] | None
) -> None:
    request = {"image": str(scan), "result_dtype": "uint8", "class": sent_back}
    file, params = HeatmapInfer(task, predictor)(request)
    bands = np.asanyarray(nib.load(file).dataobj)
    np.testing.assert_array_equal(bands, np.array([0, 8, 4])[np.digitize(np.arange(27).reshape(3, 3, 3), [10, 20])])
    assert params["label_names"]["80 %"] == 8


def test_every_value_up_to_the_highest_has_a_name_and_that_of_its_class() -> None:
    assert names_by_place({"b": 2, "a": 1}) == {"a": 1, "b": 2}
    assert names_by_place({"late": 4, "early": 2}) == {"unused 1": 1, "early": 2, "unused 3": 3, "late": 4}


@pytest.mark.parametrize("levels", [1, 255])
def test_levels_are_within_half_a_step(levels: int) -> None:
    h = np.linspace(0, 1, 1001)
    rounded = probability_levels(h, levels)
    assert np.abs(rounded / levels - h).max() <= 0.5 / levels + 1e-6
    assert (rounded[0], rounded[-1]) == (0, levels)


def test_bands_round_to_the_nearest_tenth() -> None:
    assert probability_bands(np.array([0.0, 0.049, 0.051, 0.5, 0.949, 0.951, 1.0])).tolist() == [0, 0, 1, 5, 9, 10, 10]


def test_the_region_limits_the_prediction(predictor: PredictionCache, scan: Path, write: Callable[..., Path]) -> None:
    mask = np.zeros((3, 3, 3))
    mask[:2] = 1
    region = write("region.nii.gz", mask)
    assert predictor.predict(scan, region).prediction.volume_mm3 == {"anterior": 8 * 12.0, "posterior": 0.0}
    assert predictor.predict(scan).prediction.volume_mm3["posterior"] == 7 * 12.0
    with pytest.raises(InputError, match="shape"):
        predictor.predict(scan, write("small.nii.gz", np.ones((2, 2, 2))))


def test_a_prediction_is_made_again_only_when_scan_or_generation_changed(
    predictor: PredictionCache, workspace: Any, scan: Path, write: Callable[..., Path]
) -> None:
    first = predictor.predict(scan)
    assert predictor.predict(scan) is first
    workspace.id = "second"
    assert predictor.predict(scan).prediction.generation == "second"
    assert workspace.predicted == 2
    write("scan.nii.gz", np.full((3, 3, 3), 15))
    assert predictor.predict(scan).prediction.volume_mm3["anterior"] == 27 * 12.0
    assert workspace.predicted == 3
    status = scan.stat()
    array = np.full((3, 3, 3), 25.0)
    scan.write_bytes(write("other.nii.gz", array).read_bytes().ljust(status.st_size, b"\0"))
    os.utime(scan, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert predictor.predict(scan).prediction.volume_mm3["posterior"] == 27 * 12.0


def test_only_the_last_predictions_are_kept(
    predictor: PredictionCache, workspace: Any, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = 27 + 2 * 27 * 4
    monkeypatch.setattr(predictions, "_KEPT_BYTES", 2 * one)
    scans = [write(f"scan_{number}.nii.gz", np.full((3, 3, 3), number)) for number in range(3)]
    for path in scans:
        predictor.predict(path)
    predictor.predict(scans[1])
    assert workspace.predicted == 3
    predictor.predict(scans[0])
    assert workspace.predicted == 4


def test_without_a_generation_nothing_is_predicted(predictor: PredictionCache, workspace: Any, scan: Path) -> None:
    workspace.id = None
    with pytest.raises(NotTrainedError):
        predictor.predict(scan)


def test_a_scan_that_is_not_there_is_named(predictor: PredictionCache, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nobody\.nii\.gz: cannot be read"):
        predictor.predict(tmp_path / "nobody.nii.gz")


def test_a_folder_that_holds_no_dicom_series_is_refused(predictor: PredictionCache, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("no image")
    with pytest.raises(InputError, match="is no DICOM file"):
        predictor.predict(tmp_path)
