from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from apps.calibrated_ensemble.monai_tasks.background_processes import one_line_failure
from apps.calibrated_ensemble.monai_tasks.batch_inference import BatchInference
from apps.calibrated_ensemble.monai_tasks.trainers import make_trainers, trainer_name
from lib.datasets.studies_folder import FolderScans
from lib.errors import InputError
from lib.task.task import Task
from lib.task.task_file import task_from
from tests.apps.made_up_project import open_project


@pytest.fixture
def task() -> Task:
    offsets = [-3, -0.5, 0, 0.5, 3]
    settings = {"name": "one", "modality": "CT", "labels": {"lesion": 1}, "offsets": offsets}
    return task_from(settings, where="test")


def test_trainers_are_named_after_their_loss_weight(task: Task) -> None:
    assert [trainer_name(offset) for offset in task.offsets] == [
        "loss_weight_minus_3",
        "loss_weight_minus_0_5",
        "loss_weight_0",
        "loss_weight_plus_0_5",
        "loss_weight_plus_3",
    ]


def test_a_heatmap_of_one_loss_weight_has_one_trainer_beside_the_ensemble(tmp_path: Path) -> None:
    settings = {"name": "one", "modality": "CT", "labels": {"lesion": 1}, "heatmap": "single"}
    with open_project(tmp_path, task_from(settings, where="test")) as project:
        assert list(make_trainers(project, FolderScans(tmp_path, project.task))) == ["ensemble", "loss_weight_0"]


def test_without_labels_training_ends_with_the_reason(
    task: Task, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "studies").mkdir()
    with open_project(tmp_path, task) as project:
        trainers = make_trainers(project, FolderScans(tmp_path / "studies", task))
        assert next(iter(trainers)) == "ensemble"
        with pytest.raises(SystemExit) as caught, one_line_failure():
            trainers["ensemble"]({}, None)
    assert caught.value.code == 2
    assert "no scan has a label yet" in caplog.messages[-1]
    assert "no scan has a label yet" in trainers["ensemble"].stats()["error"]
    assert trainers["loss_weight_0"].stats() == {}


def test_a_training_beside_another_ends_with_the_status_of_a_busy_workspace(
    task: Task, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "studies").mkdir()
    with open_project(tmp_path, task) as project, project.workspace.training_lock():
        trainer = make_trainers(project, FolderScans(tmp_path / "studies", task))["ensemble"]
        with pytest.raises(SystemExit) as caught, one_line_failure():
            trainer({}, None)
    assert caught.value.code == 4
    assert "another training is running here" in caplog.messages[-1]


def test_errors_of_the_program_itself_are_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), one_line_failure():
        raise ZeroDivisionError


def test_batch_inference_goes_on_after_a_scan_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)

    def infer(request: dict[str, Any], _datastore: object) -> dict[str, Any]:
        if request["image"] == "broken":
            raise InputError("broken: cannot be read")
        return {"label": request["image"], "device": request["device"]}

    store = SimpleNamespace(list_images=lambda: ["a", "broken", "c"])
    # What `/batch/infer/` sends when nobody says otherwise.
    request = {"device": "cuda", "multi_gpu": True, "gpus": "all", "max_workers": 1, "label_tag": "original"}
    results = BatchInference()(request, store, infer)
    assert results == {
        "a": {"label": "a", "device": "cpu"},
        "broken": {"error": "broken: cannot be read"},
        "c": {"label": "c", "device": "cpu"},
    }
