import pytest
from sqlalchemy import Engine, func, select

from scoring.database.engine import reading
from scoring.database.scan_list import last_event, mark_labelled, synchronise_scans
from scoring.database.score_records import record_score
from scoring.database.tables import events, leases, scans
from scoring.worklist.next_scan import next_scan
from scoring.worklist.ranking import ranking


def states(engine: Engine) -> dict[str, str]:
    with reading(engine) as connection:
        return {scan.name: scan.state for scan in connection.execute(select(scans))}


def names(engine: Engine, generation: str = "g") -> list[str]:
    return [line.scan for line in ranking(engine, generation)]


def test_adds_new_scans_and_follows_the_labels(engine: Engine) -> None:
    synchronise_scans(engine, ["a", "b"], [])
    synchronise_scans(engine, ["a", "b", "c"], ["a", "c"])
    assert states(engine) == {"a": "labelled", "b": "unlabelled", "c": "labelled"}
    synchronise_scans(engine, ["a", "b", "c"], ["c"])
    assert states(engine) == {"a": "unlabelled", "b": "unlabelled", "c": "labelled"}


def test_a_label_without_a_scan_is_no_scan(engine: Engine) -> None:
    synchronise_scans(engine, ["a"], ["ghost"])
    assert states(engine) == {"a": "unlabelled"}


def test_a_scan_that_vanished_is_not_ranked_and_has_its_score_when_it_comes_back(engine: Engine) -> None:
    synchronise_scans(engine, ["a", "b"], [])
    record_score(engine, "a", "g", {"lesion": 0.4}, seconds=1.0)
    synchronise_scans(engine, ["b"], [])
    assert names(engine) == ["b"]
    served = next_scan(engine, client="x", strategy="least_certain", generation="g", lease_seconds=9)
    assert served is not None
    assert served.scan == "b"
    synchronise_scans(engine, ["a", "b"], [])
    assert ranking(engine, "g")[0].mean_estimated_dsc == 0.4


def test_a_submitted_scan_is_labelled_its_lease_ended_and_logged(engine: Engine) -> None:
    synchronise_scans(engine, ["a"], [])
    next_scan(engine, client="x", strategy="random", generation=None, lease_seconds=9)
    mark_labelled(engine, "a", client="x", detail="holds no foreground", now=7.0)
    assert states(engine) == {"a": "labelled"}
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(leases)) == 0
        query = select(events.c.time, events.c.scan, events.c.client, events.c.detail)
        assert connection.execute(query.where(events.c.kind == "submitted")).all() == [
            (7.0, "a", "x", "holds no foreground")
        ]


def test_a_label_for_a_scan_that_was_never_listed_counts(engine: Engine) -> None:
    mark_labelled(engine, "new")
    assert states(engine) == {"new": "labelled"}


def test_a_list_older_than_a_label_does_not_take_it_back(engine: Engine) -> None:
    synchronise_scans(engine, ["a"], [])
    before = last_event(engine)
    mark_labelled(engine, "a")
    synchronise_scans(engine, ["a"], [], last_event=before)
    assert states(engine) == {"a": "labelled"}
    synchronise_scans(engine, ["a"], [], last_event=last_event(engine))
    assert states(engine) == {"a": "unlabelled"}


@pytest.mark.parametrize("now", [0.0, 4e9])
def test_a_label_that_is_removed_is_removed_whatever_the_clock_said_when_it_came(engine: Engine, now: float) -> None:
    mark_labelled(engine, "a", now=now)
    synchronise_scans(engine, ["a"], [], last_event=last_event(engine))
    assert states(engine) == {"a": "unlabelled"}
