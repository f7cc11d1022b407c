"""Nights in a row on one workspace, with a real training."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from apps.calibrated_ensemble.project import Project
from apps.calibrated_ensemble.retraining import night as module
from apps.calibrated_ensemble.retraining.night import plan_night, retrain
from apps.calibrated_ensemble.retraining.options import RetrainingOptions
from apps.calibrated_ensemble.retraining.summary import Outcome
from lib.datasets.studies_folder import FolderScans
from lib.progress import silent
from lib.publication.gate import GateReport
from scoring.database.nights import recent_nights
from scoring.worklist.ranking import ranking
from tests.apps.made_up_project import open_project
from tests.tiny_training import a_task, write_balls

TASK = a_task(offsets=[0], training={"iterations": 4})


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Four labelled and two unlabelled balls."""
    studies = tmp_path / "studies"
    (studies / "labels" / "final").mkdir(parents=True)
    for number, scan in enumerate(write_balls(tmp_path / "balls", 6)):
        shutil.copy(scan.image, studies / f"{scan.name}.nii.gz")
        if number < 4:
            shutil.copy(scan.label, studies / "labels" / "final" / f"{scan.name}.nii.gz")
    with open_project(tmp_path, TASK) as project:
        yield project


def label_one_more(project: Project, tmp_path: Path, name: str) -> None:
    shutil.copy(
        tmp_path / "balls" / "labels" / f"{name}.nii.gz",
        Path(project.studies) / "labels" / "final" / f"{name}.nii.gz",
    )


def test_nights_in_a_row(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scans = FolderScans(Path(project.studies), TASK)
    options = RetrainingOptions()

    def accept(*_: object) -> GateReport:
        return GateReport(())

    def refuse(*_: object) -> GateReport:
        return GateReport(("it is worse",))

    monkeypatch.setattr(module, "judge_candidate", accept)
    assert plan_night(project, scans, options).train
    assert not (project.workspace.root / "generations").exists()

    stopped = retrain(project, scans, replace(options, max_hours=0.0), progress=silent)
    assert stopped.outcome == Outcome.OUT_OF_TIME
    assert project.workspace.current() is None

    first = retrain(project, scans, options, progress=silent)
    assert first.outcome == Outcome.PUBLISHED
    assert first.served == first.candidate == project.workspace.current()
    assert first.labels == {"added": 4, "changed": 0, "removed": 0}
    assert first.scored == first.left == 2
    assert first.expected_dice == pytest.approx(
        sum(scan.mean_estimated_dsc or 0 for scan in ranking(project.engine, first.served)) / 2
    )

    assert retrain(project, scans, options, progress=silent).outcome == Outcome.NOTHING_TO_DO
    assert retrain(project, scans, replace(options, force=True), progress=silent).outcome == Outcome.UNCHANGED

    label_one_more(project, tmp_path, "ball_4")
    monkeypatch.setattr(module, "judge_candidate", refuse)
    held = retrain(project, scans, options, progress=silent)
    assert held.outcome == Outcome.HELD_BACK
    assert held.held_back == ("it is worse",)
    assert held.served == first.served == project.workspace.current()
    assert held.candidate not in (None, first.candidate)

    # What was held back is not published by the next night, whatever the gate would say now.
    monkeypatch.setattr(module, "judge_candidate", accept)
    again = retrain(project, scans, options, progress=silent)
    assert again.outcome == Outcome.HELD_BACK
    assert again.candidate == held.candidate

    nights = recent_nights(project.engine)
    assert [one["outcome"] for one in nights] == [
        "held_back", "held_back", "unchanged", "nothing_to_do", "published", "out_of_time",
    ]  # fmt: skip
    assert nights[0] == json.loads(json.dumps(again.to_json()))
    assert any("it is worse" in line for line in held.to_lines())
