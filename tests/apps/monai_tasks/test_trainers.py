from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fastapi import HTTPException

from apps.calibrated_ensemble.datastores.label_submission import ReviewedLabel
from apps.calibrated_ensemble.datastores.studies_folder import StudiesFolder
from apps.calibrated_ensemble.http_errors import clear_answers, one_line_failure
from apps.calibrated_ensemble.monai_tasks.batch_inference import BatchInference
from apps.calibrated_ensemble.monai_tasks.trainers import make_trainers, trainer_name
from lib.errors import DamagedGenerationError, InputError, NotTrainedError
from lib.models.workspace import Workspace
from lib.task.task import Task
from lib.task.task_file import task_from
from scoring.database.engine import open_database


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
    workspace = Workspace(tmp_path / "workspace")
    engine = open_database(workspace.database_path)
    trainers = make_trainers(
        task_from(settings, where="test"), workspace=workspace, engine=engine, device="cpu", store_heatmaps=False
    )
    assert list(trainers) == ["ensemble", "loss_weight_0"]


def test_without_labels_training_ends_with_the_reason(
    task: Task, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = Workspace(tmp_path / "workspace")
    engine = open_database(workspace.database_path)
    trainers = make_trainers(task, workspace=workspace, engine=engine, device="cpu", store_heatmaps=False)
    assert next(iter(trainers)) == "ensemble"
    store = StudiesFolder(str(tmp_path / "studies"), review=lambda *_: ReviewedLabel(Path("never")), auto_reload=False)
    with pytest.raises(SystemExit) as caught, one_line_failure():
        trainers["ensemble"]({}, store)
    assert caught.value.code == 2
    assert "no scan has a label yet" in caplog.messages[-1]
    assert "no scan has a label yet" in trainers["ensemble"].stats()["error"]
    assert trainers["loss_weight_0"].stats() == {}


@pytest.mark.parametrize(
    ("error", "status"),
    [(InputError("wrong"), 422), (NotTrainedError("not yet"), 409), (DamagedGenerationError("broken"), 500)],
)
def test_errors_become_answers_with_their_message(error: Exception, status: int) -> None:
    with pytest.raises(HTTPException) as caught, clear_answers():
        raise error
    assert (caught.value.status_code, caught.value.detail) == (status, str(error))


def test_errors_of_the_program_itself_are_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), one_line_failure():
        raise ZeroDivisionError


def test_batch_inference_goes_on_after_a_scan_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)

    def infer(request: dict[str, Any], _datastore: object) -> dict[str, Any]:
        if request["image"] == "broken":
            raise HTTPException(422, "broken: cannot be read")
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
