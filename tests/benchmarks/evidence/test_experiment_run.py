"""Experiments from labelled scans to figures."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.evidence.experiment_run import choose_parts, run_experiment
from benchmarks.evidence.experiments import EXPERIMENTS, Experiment
from benchmarks.evidence.tables import tables
from lib.datasets.scans import LabelledScan
from lib.errors import InputError
from lib.progress import Progress, silent
from tests.tiny_training import a_task, record_training, write_balls

EXPERIMENT = Experiment("balls", data_set="balls", task="tiny", labelled=4, seed=3)
TASK = a_task(training={"iterations": 8})


@contextmanager
def unseen(title: str) -> Iterator[Progress]:
    yield silent


def run(experiment: Experiment, data: Path, folder: Path) -> dict[str, dict[str, Any]]:
    return run_experiment(experiment, TASK, data, folder, show_progress=unseen, device="cpu")


@dataclass(frozen=True)
class Done:
    data: Path
    folder: Path
    found: dict[str, dict[str, Any]]
    stages: int


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    data = tmp_path_factory.mktemp("data")
    write_balls(data / "balls", 7)
    for name in ("images", "labels"):
        (data / "balls" / name).rename(data / "balls" / f"{name}Tr")
    with pytest.MonkeyPatch.context() as patch:
        log = record_training(patch)
        found = run(EXPERIMENT, data, data / "balls_run")
    return Done(data, data / "balls_run", found, log.count())


def test_the_model_and_its_baselines_are_judged_by_clean_and_corrupted_scans(done: Done) -> None:
    folds, offsets = TASK.fold_count, len(TASK.offsets)
    seeds, dropout = 7 * 4, 4
    assert done.stages == folds * (3 + offsets) + seeds + dropout
    for condition, metrics in done.found.items():
        assert metrics["corrupted"] == (condition == "corrupted")
        assert metrics["scans"] == 3
        assert metrics["out_of_fold_scans"] == 4
        assert {"votes", "soft", "single", "seeds_votes", "dropout_softmax"} <= set(metrics["heatmaps"])
        assert json.loads((done.folder / condition / "metrics.json").read_text()) == metrics


def test_a_second_run_trains_and_predicts_nothing(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    log = record_training(monkeypatch)
    kept = {path: path.stat().st_mtime_ns for path in (done.folder / "statistics").iterdir()}
    assert run(EXPERIMENT, done.data, done.folder) == done.found
    assert log.count() == 0
    assert {path: path.stat().st_mtime_ns for path in (done.folder / "statistics").iterdir()} == kept


def test_made_up_scans_need_no_data_and_cross_validation_judges_all_of_them(tmp_path: Path) -> None:
    made_up = replace(EXPERIMENT, data_set="", labelled=None, phantoms=3)
    found = run(made_up, tmp_path / "nowhere", tmp_path / "phantoms_run")["clean"]
    assert sorted(one["scan"] for one in found["by_scan"]) == ["phantom_000", "phantom_001", "phantom_002"]
    # A baseline has seen all of them, and none is left to set the width of intervals.
    assert found["generations"].keys() == {"calibrated"}
    assert all(one["lesion"]["interval_coverage"]["value"] is None for one in found["estimates"].values())


def test_tables_have_a_row_for_each_estimate(done: Done) -> None:
    metrics = deepcopy(done.found["clean"])
    metrics["estimates"]["votes"]["lesion"]["mae"] |= {"low": 0.01, "high": 0.2}
    lines = tables("balls", "clean", metrics).splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| |")]
    assert len(rows) == len(metrics["estimates"])
    assert rows[0].startswith("| **votes** (served) | ")
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    mae = metrics["estimates"]["votes"]["lesion"]["mae"]
    assert rows[0].split(" | ")[3] == f"{100 * mae['value']:.1f} [{100 * mae['low']:.1f}, {100 * mae['high']:.1f}]"


def nameless(count: int) -> list[LabelledScan]:
    names = [f"scan_{index:02}" for index in range(count)]
    return [LabelledScan(name, Path(name), Path(name), name) for name in names]


@given(st.integers(1, 12), st.integers(0, 3), st.integers(0, 5))
def test_scans_that_judge_are_never_labelled(labelled: int, seed: int, held_out: int) -> None:
    scans = nameless(20)
    parts = choose_parts(scans, replace(EXPERIMENT, labelled=labelled, seed=seed, held_out=held_out))
    assert len(parts.labelled) == labelled
    assert not set(parts.labelled) & set(parts.test)
    assert len(parts.test) == (held_out or 20 - labelled)
    more = choose_parts(scans, replace(EXPERIMENT, labelled=labelled + 1, seed=seed, held_out=held_out))
    assert set(parts.labelled) < set(more.labelled)
    if held_out:
        assert more.test == parts.test


def test_too_few_scans_are_refused() -> None:
    with pytest.raises(InputError, match="balls: needs 8 scans besides those held out; there are 7"):
        choose_parts(nameless(9), replace(EXPERIMENT, labelled=8, held_out=2))
    with pytest.raises(InputError, match="balls: needs 5 scans"):
        choose_parts(nameless(4), EXPERIMENT)


def test_every_experiment_has_scans_of_one_kind() -> None:
    assert all(bool(experiment.data_set) != bool(experiment.phantoms) for experiment in EXPERIMENTS)


def test_experiments_have_folders_of_their_own() -> None:
    assert len({experiment.name for experiment in EXPERIMENTS}) == len(EXPERIMENTS)
