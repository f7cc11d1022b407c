"""What a simulation may be asked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.active_learning.choice import Strategy
from benchmarks.active_learning.design import Design, check_design, keep_design
from benchmarks.experiments.held_out_split import Split
from lib.datasets.scans import LabelledScan
from lib.errors import InputError
from tests.tiny_training import a_task

DESIGN = Design(task=a_task(), start=2, add=3, rounds=2, seeds=1, strategies=(Strategy.RANDOM,))


def a_split(pool: int) -> Split:
    scans = [
        LabelledScan(name, Path(name), Path(name), name) for name in (f"scan_{index}" for index in range(pool + 1))
    ]
    return Split(test=tuple(scans[:1]), pool=tuple(scans[1:]))


def test_the_pool_must_hold_what_is_labelled() -> None:
    check_design(DESIGN, a_split(8))
    with pytest.raises(InputError, match="--start 2 --add 3 --rounds 2: label 8 scans, but 7 may be labelled"):
        check_design(DESIGN, a_split(7))


def test_a_task_with_a_region_is_refused() -> None:
    with pytest.raises(InputError, match="has the region mask organ"):
        check_design(replace(DESIGN, task=a_task(region="organ")), a_split(8))


@pytest.mark.parametrize("name", ["start", "add", "rounds", "seeds"])
def test_numbers_start_at_one(name: str) -> None:
    with pytest.raises(InputError, match=f"--{name} is 0"):
        check_design(replace(DESIGN, **{name: 0}), a_split(8))


def test_a_kept_design_takes_more_seeds_and_strategies(tmp_path: Path) -> None:
    path = tmp_path / "design.json"
    keep_design(path, DESIGN, a_split(8))
    before = path.read_text()
    keep_design(path, replace(DESIGN, seeds=3, strategies=tuple(Strategy)), a_split(8))
    assert path.read_text() == before
    with pytest.raises(InputError, match="another `pool`"):
        keep_design(path, DESIGN, a_split(9))


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_damaged_design_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "design.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"design\.json: cannot be read as a design"):
        keep_design(path, DESIGN, a_split(8))
    assert path.read_text() == text
