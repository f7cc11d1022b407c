"""A nightly trigger at a terminal: its statuses and its line."""

import json
import shutil
from pathlib import Path

import pytest

from apps.calibrated_ensemble.command_line import run
from apps.calibrated_ensemble.retraining.lock import only_retraining
from lib.models.workspace import Workspace
from lib.publication.gate import GateReport
from tests.tiny_studies import TinyStudies, copy_trained_studies


@pytest.fixture
def studies(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> TinyStudies:
    return copy_trained_studies(tmp_path_factory, tmp_path / "studies")


def test_nights_end_with_a_status_and_a_line_for_machines(
    studies: TinyStudies, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(studies.folder / ".calibrated_ensemble")
    command = ["retrain", "--studies", str(studies.folder), "--task", str(studies.task), "--device", "cpu"]
    served = workspace.current()

    assert run([*command, "--dry-run"]) == 0
    assert "Nothing to train: 0 new, 0 changed and 0 removed labels" in capsys.readouterr().out
    assert run([*command, "--json"]) == 0
    night = json.loads(capsys.readouterr().out)
    assert (night["outcome"], night["served"]) == ("nothing_to_do", served)

    new = studies.unlabelled[0]
    shutil.copy(new.label, studies.folder / "labels" / "final" / f"{new.name}.nii.gz")
    assert run([*command, "--dry-run", "--json"]) == 0
    decision = json.loads(capsys.readouterr().out)
    assert (decision["train"], decision["changes"]["added"]) == (True, [new.name])
    with only_retraining(workspace):
        assert run(command) == 4
    assert "is retrained already, by process" in capsys.readouterr().err
    assert run([*command, "--max-hours", "0"]) == 5
    assert "the next night goes on" in capsys.readouterr().out

    monkeypatch.setattr(
        "apps.calibrated_ensemble.retraining.night.judge_candidate", lambda *_: GateReport(("it is worse",))
    )
    assert run([*command, "--json"]) == 3
    night = json.loads(capsys.readouterr().out)
    assert (night["held_back"], night["served"]) == (["it is worse"], served)
    assert workspace.current() == served
