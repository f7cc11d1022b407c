"""Every figure of the lead's page."""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apps.calibrated_ensemble.jobs.train_stats import TrainStats
from apps.calibrated_ensemble.progress_page.figures import progress_figures
from apps.calibrated_ensemble.project import Project
from lib.models.generation import Generation, read_generation
from lib.publication.held_back import HeldBackBy, hold_back
from scoring.database.nights import record_night
from scoring.database.scan_list import mark_labelled, synchronise_scans
from scoring.database.score_records import record_score
from tests.apps.made_up_project import open_project
from tests.lib.conftest import balls, trained
from tests.made_up_generations import add_generation
from tests.tiny_training import Trained

__all__ = ["balls", "trained"]

LABELS = {2001: 8, 2002: 16, 2003: 24, 2004: 32, 2005: 40}
DICE = {2001: 0.5, 2002: 0.6, 2003: 0.66, 2004: 0.7, 2005: 0.1}


@pytest.fixture
def project(trained: Trained, tmp_path: Path) -> Iterator[Project]:
    """Five generations, the last of which is held back; the fourth is served, and three scans are left."""
    with open_project(tmp_path, trained.task) as project:
        shutil.copytree(trained.workspace.root, project.workspace.root, dirs_exist_ok=True)
        generation = read_generation(project.workspace.generations / trained.generation.id)
        copied = replace(trained, workspace=project.workspace, generation=generation)
        made = [with_metrics(add_generation(copied, f"{year}0101T000000"), year) for year in LABELS]
        shutil.rmtree(generation.path)
        project.workspace.make_current(made[3])
        hold_back(made[4], HeldBackBy.GATE, ("worse",))
        synchronise_scans(project.engine, ["a", "b", "c", "d"], [])
        for scan, mean in {"a": 0.2, "b": 0.4, "c": 0.9, "d": 0.1}.items():
            record_score(project.engine, scan, made[3].id, {"lesion": mean}, seconds=1.0)
        mark_labelled(project.engine, "d", client="anna")
        night = {"candidate": made[3].id, "compared": {"calibration_error": {"after": 0.034}}}
        told = {"outcome": "published", "reason": "5 new labels", "started": "2004-01-01T00:00:00Z", "hours": 1.5}
        record_night(project.engine, night | told | {"held_back": []}, time=time.time())
        yield project


def with_metrics(generation: Generation, year: int) -> Generation:
    metrics = dict(generation.metrics) | {"scans": LABELS[year], "dice": {"lesion": DICE[year]}}
    (generation.path / "metrics.json").write_text(json.dumps(metrics))
    return read_generation(generation.path)


def figures(project: Project) -> dict[str, Any]:
    found = progress_figures(project, lambda scan: f"study of {scan}")
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def test_a_lead_sees_what_is_done_what_is_left_and_what_it_is_worth(project: Project) -> None:
    found = figures(project)
    assert found["scans"] == {"labelled": 1, "leased": 0, "broken": 0, "free": 3}
    assert [(row["id"][:4], row["standing"], row["mean_dice"]) for row in found["generations"]] == [
        ("2001", "kept", 0.5),
        ("2002", "kept", 0.6),
        ("2003", "kept", 0.66),
        ("2004", "served", 0.7),
        ("2005", "held back", 0.1),
    ]
    assert [row["calibration_error"] for row in found["generations"]] == [None, None, None, 0.034, None]
    assert found["generations"][3]["expected_dice"] == pytest.approx(0.5)
    assert found["estimates"]["mean"] == pytest.approx(0.5)
    assert sum(one["scans"] for one in found["estimates"]["bins"]) == 3
    assert [scan["scan"] for scan in found["worklist"]] == ["a", "b", "c"]
    assert found["worklist"][0]["study"] == "study of a"
    assert found["labels"][0] | {"day": ""} == {"day": "", "annotator": "anna", "labels": 1}
    assert found["nights"][0]["reason"] == "5 new labels"
    assert found["training"] is None


def test_the_forecast_rises_from_what_may_be_served_and_leaves_out_what_was_held_back(project: Project) -> None:
    forecast = figures(project)["forecast"]
    assert not forecast["too_early"]
    assert [point["more_labels"] for point in forecast["points"]] == [10, 25, 50, 100]
    assert forecast["points"][0]["dice"] >= 0.69
    shutil.rmtree(next(project.workspace.generations.glob("2001*")))
    assert figures(project)["forecast"]["too_early"]


def test_a_training_is_shown_with_its_time_left(project: Project) -> None:
    path = project.workspace.root / "train_stats" / "ensemble.json"
    path.parent.mkdir(exist_ok=True)
    stats = TrainStats(path)
    stats("training", 30, 120)
    stats("training", 120, 120)
    stored = json.loads(path.read_text())
    path.write_text(json.dumps(stored | {"epoch": 30, "start_ts": time.time() - 60}))
    shown = figures(project)["training"]
    assert (shown["stage"], shown["step"], shown["steps"]) == ("training", 30, 120)
    assert shown["seconds_left"] == pytest.approx(180, abs=5)
    stats.fail("no space")
    assert figures(project)["training"] is None


def test_before_anything_is_there_all_is_empty(tmp_path: Path) -> None:
    with open_project(tmp_path) as project:
        found = figures(project)
    assert found["served"] is None
    assert found["generations"] == found["worklist"] == found["nights"] == found["labels"] == []
    assert found["estimates"]["mean"] is None
    assert found["forecast"]["too_early"]
