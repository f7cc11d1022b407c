import pytest
from sqlalchemy import Engine, select

from scoring.database.engine import reading
from scoring.database.scan_list import mark_labelled, synchronise_scans
from scoring.database.score_records import Scored, keep_score, record_failure, record_score, scans_done
from scoring.database.tables import events, scores
from scoring.worklist.ranking import ranking


def test_the_mean_is_that_of_the_classes(engine: Engine) -> None:
    assert record_score(engine, "a", "g", {"organ": 0.9, "lesion": 0.4}, seconds=1.0) == pytest.approx(0.65)
    assert ranking(engine, "g")[0].estimated_dsc == {"organ": 0.9, "lesion": 0.4}


def test_a_score_takes_the_place_of_a_failure_and_the_other_way_round(engine: Engine) -> None:
    record_failure(engine, "a", "g", "truncated", seconds=0.1)
    record_score(engine, "a", "g", {"lesion": 0.4}, seconds=1.0)
    assert [(line.mean_estimated_dsc, line.error) for line in ranking(engine, "g")] == [(0.4, None)]
    record_failure(engine, "a", "g", "vanished", seconds=0.1)
    assert [(line.mean_estimated_dsc, line.estimated_dsc, line.error) for line in ranking(engine, "g")] == [
        (None, None, "vanished")
    ]


def test_generations_have_scores_of_their_own(engine: Engine) -> None:
    record_score(engine, "a", "g", {"lesion": 0.4}, seconds=1.0)
    record_score(engine, "a", "newer", {"lesion": 0.8}, seconds=1.0)
    assert [ranking(engine, generation)[0].mean_estimated_dsc for generation in ("g", "newer")] == [0.4, 0.8]


def test_time_and_cost_are_kept_and_logged(engine: Engine) -> None:
    record_score(engine, "a", "g", {"lesion": 0.4}, seconds=2.5, now=1000.0)
    record_failure(engine, "b", "g", "truncated", seconds=0.5, now=1001.0)
    with reading(engine) as connection:
        assert connection.execute(select(scores.c.seconds, scores.c.time)).all() == [(2.5, 1000.0), (0.5, 1001.0)]
        logged = connection.execute(select(events.c.time, events.c.kind, events.c.scan, events.c.detail)).all()
    assert logged == [(1000.0, "scored", "a", "g: 0.4000"), (1001.0, "failed", "b", "g: truncated")]


@pytest.mark.parametrize("classes", [{}, {"lesion": 1.01}, {"lesion": -0.1}, {"lesion": float("nan")}])
def test_refuses_what_is_no_dsc(engine: Engine, classes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="one value in"):
        record_score(engine, "a", "g", classes, seconds=1.0)
    assert ranking(engine, "g") == []


def test_done_is_what_is_labelled_scored_or_failed_a_moment_ago(engine: Engine) -> None:
    synchronise_scans(engine, ["new", "elsewhere"], [])
    mark_labelled(engine, "labelled")
    now = Scored("now", "a digest")
    record_score(engine, "scored", "g", {"lesion": 0.4}, seconds=1.0, scored=now, now=10.0)
    record_score(engine, "elsewhere", "older", {"lesion": 0.4}, seconds=1.0, now=100.0)
    record_failure(engine, "failed", "g", "truncated", seconds=0.1, scored=now, now=100.0)
    record_score(engine, "replaced", "g", {"lesion": 0.4}, seconds=1.0, scored=Scored("then", "another"), now=100.0)
    record_score(engine, "of version 2", "g", {"lesion": 0.4}, seconds=1.0, now=100.0)
    names = ["new", "elsewhere", "labelled", "scored", "failed", "replaced", "of version 2", "unknown"]
    for failed_before, done in ((100.0, {"labelled", "scored", "failed"}), (100.1, {"labelled", "scored"})):
        found = scans_done(engine, "g", failed_before=failed_before)
        assert {name for name in names if found.covers(name, "now")} == done
        alone = {name: scans_done(engine, "g", failed_before=failed_before, scan=name) for name in names}
        assert {name for name, found in alone.items() if found.covers(name, "now")} == done


def test_a_score_stands_for_its_content_and_for_no_other(engine: Engine) -> None:
    record_score(engine, "a", "g", {"lesion": 0.4}, seconds=1.0, scored=Scored("then", "a digest"))
    assert not keep_score(engine, "a", "g", Scored("now", "another"))
    assert not keep_score(engine, "a", "newer", Scored("now", "a digest"))
    assert not keep_score(engine, "b", "g", Scored("now", "a digest"))
    assert keep_score(engine, "a", "g", Scored("now", "a digest"))
    assert scans_done(engine, "g", failed_before=0.0).covers("a", "now")
    assert ranking(engine, "g")[0].mean_estimated_dsc == 0.4


def test_a_failure_and_a_file_that_cannot_be_read_are_no_score_that_could_stand(engine: Engine) -> None:
    record_failure(engine, "a", "g", "truncated", seconds=0.1, scored=Scored("then", "a digest"))
    record_score(engine, "b", "g", {"lesion": 0.4}, seconds=1.0)
    assert not keep_score(engine, "a", "g", Scored("now", "a digest"))
    assert not keep_score(engine, "b", "g", Scored("now", None))
