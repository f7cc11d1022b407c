import json
import logging
from pathlib import Path

import pytest

from apps.calibrated_ensemble.jobs.train_stats import TrainStats, read_train_stats


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stats" / "ensemble.json"


def test_before_the_first_run_there_are_no_figures(path: Path) -> None:
    assert read_train_stats(path) == {}


def test_while_it_runs_the_steps_are_counted(path: Path) -> None:
    stats = TrainStats(path)
    stats("reading", 3, 3)
    stats("training", 200, 200, loss=0.25)
    figures = read_train_stats(path)
    assert (figures["epoch"], figures["total_epochs"], figures["stage"]) == (200, 200, "training")
    assert figures["train"]["metrics"] == {"loss": 0.25}
    assert "current_time" in figures
    assert "total_time" not in figures


def test_steps_within_a_second_are_written_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stats = TrainStats(path)
    inode = path.stat().st_ino
    with caplog.at_level(logging.INFO):
        for step in range(1, 50):
            stats("training", step, 100)
    assert path.stat().st_ino == inode
    assert caplog.messages == []
    with caplog.at_level(logging.INFO):
        stats("training", 100, 100, loss=0.5)
    assert caplog.messages == ["training: 100 % (100 of 100), loss 0.5"]


def test_the_end_holds_the_mean_dsc_and_the_next_run_starts_from_it(path: Path) -> None:
    figures = TrainStats(path).finish(generation="g1", dice={"a": 0.9, "b": 0.7, "never seen": None})
    assert figures == read_train_stats(path)
    assert figures["best_metric"] == pytest.approx(0.8)
    assert figures["total_time"] == "0:00:00"
    assert "current_time" not in figures
    TrainStats(path)
    assert read_train_stats(path)["best_metric"] == pytest.approx(0.8)


def test_a_failure_is_told(path: Path) -> None:
    TrainStats(path).fail("no scan has a label yet")
    figures = read_train_stats(path)
    assert (figures["stage"], figures["error"]) == ("failed", "no scan has a label yet")


def test_the_file_is_json_at_every_moment(path: Path) -> None:
    stats = TrainStats(path)
    for stage in ("reading", "training", "cross-validation"):
        stats(stage, 1, 1)
        assert json.loads(path.read_text())["stage"] == stage


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"\xff", b'{"best_metric": "high"}', b'"text"', b"null"])
def test_damaged_figures_are_written_again_by_the_next_training(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ensemble.json"
    path.write_bytes(content)
    assert isinstance(read_train_stats(path), dict)
    TrainStats(path)
    assert read_train_stats(path)["best_metric"] == 0.0
