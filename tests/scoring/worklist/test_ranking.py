import pytest
from sqlalchemy import Engine

from scoring.database.scan_list import synchronise_scans
from scoring.database.score_records import record_failure, record_score
from scoring.strategies.random_order import random_position
from scoring.worklist.next_scan import next_scan
from scoring.worklist.ranking import RankedScan, ranking


@pytest.fixture
def scored(engine: Engine) -> Engine:
    synchronise_scans(engine, ["broken", "sure", "unsure", "new_1", "new_2", "labelled"], ["labelled"])
    record_score(engine, "sure", "g", {"organ": 1.0, "lesion": 0.8}, seconds=1.0)
    record_score(engine, "unsure", "g", {"organ": 0.9, "lesion": 0.1}, seconds=1.0)
    record_score(engine, "labelled", "g", {"organ": 0.0, "lesion": 0.0}, seconds=1.0)
    record_failure(engine, "broken", "g", "broken.nii.gz: cannot be read", seconds=0.1)
    return engine


def test_lists_scored_then_new_then_broken_scans(scored: Engine) -> None:
    new = sorted(["new_1", "new_2"], key=lambda name: random_position(0, name))
    assert [line.scan for line in ranking(scored, "g")] == ["unsure", "sure", *new, "broken"]


def test_holds_estimates_holder_and_reason(scored: Engine) -> None:
    next_scan(scored, client="ann", strategy="least_certain", generation="g", lease_seconds=60, now=100.0)
    lines = ranking(scored, "g", now=130.0)
    assert lines[0] == RankedScan("unsure", {"organ": 0.9, "lesion": 0.1}, 0.5, None, "ann", 160.0)
    assert lines[1] == RankedScan("sure", {"organ": 1.0, "lesion": 0.8}, 0.9, None, None, None)
    assert lines[-1] == RankedScan("broken", None, None, "broken.nii.gz: cannot be read", None, None)
    assert ranking(scored, "g", now=160.0)[0].leased_to is None


def test_can_be_cut_short(scored: Engine) -> None:
    assert [line.scan for line in ranking(scored, "g", limit=2)] == ["unsure", "sure"]


@pytest.mark.parametrize("generation", [None, "newer"])
def test_without_scores_of_the_generation_all_are_in_random_order(scored: Engine, generation: str | None) -> None:
    lines = ranking(scored, generation)
    names = ["broken", "sure", "unsure", "new_1", "new_2"]
    assert [line.scan for line in lines] == sorted(names, key=lambda name: random_position(0, name))
    assert all(line.mean_estimated_dsc is None and line.error is None for line in lines)
