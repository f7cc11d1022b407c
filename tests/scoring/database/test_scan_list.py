import pytest
from sqlalchemy import Engine, func, select

from scoring.database.engine import reading, writing
from scoring.database.scan_list import mark_labelled, random_position, synchronise_scans, use_random_order
from scoring.database.score_records import record_score
from scoring.database.tables import events, leases, scans, scores
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
    assert ranking(engine, "g")[0].mean == 0.4


def test_a_score_waits_exactly_while_its_scan_is_unlabelled(engine: Engine) -> None:
    def waiting() -> dict[str, bool]:
        query = select(scans.c.name, scores.c.waiting).join(scores)
        with reading(engine) as connection:
            return {name: bool(value) for name, value in connection.execute(query)}

    synchronise_scans(engine, ["a", "b", "c"], ["c"])
    for scan in "abc":
        record_score(engine, scan, "g", {"lesion": 0.4}, seconds=1.0)
    assert waiting() == {"a": True, "b": True, "c": False}
    mark_labelled(engine, "a")
    assert waiting() == {"a": False, "b": True, "c": False}
    synchronise_scans(engine, ["a", "b", "c"], ["b"])
    assert waiting() == {"a": True, "b": False, "c": True}
    synchronise_scans(engine, [], [])
    assert waiting() == {"a": False, "b": False, "c": False}


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


@pytest.mark.parametrize(("listed_at", "state"), [(99.0, "labelled"), (101.0, "unlabelled"), (None, "unlabelled")])
def test_a_list_older_than_a_label_does_not_take_it_back(engine: Engine, listed_at: float | None, state: str) -> None:
    synchronise_scans(engine, ["a"], [])
    mark_labelled(engine, "a", now=100.0)
    synchronise_scans(engine, ["a"], [], listed_at=listed_at)
    assert states(engine) == {"a": state}


def test_the_random_order_is_that_of_the_seed_however_the_scans_came(engine: Engine) -> None:
    def order() -> list[str]:
        with reading(engine) as connection:
            return list(connection.scalars(select(scans.c.name).order_by(scans.c.position)))

    every = [f"scan_{i}" for i in range(40)]
    synchronise_scans(engine, every[:20], [])
    with writing(engine) as connection:
        use_random_order(connection, 5)
    synchronise_scans(engine, every, [])
    assert order() == sorted(every, key=lambda name: random_position(5, name))
    with writing(engine) as connection:
        use_random_order(connection, 6)
    assert order() == sorted(every, key=lambda name: random_position(6, name))


def test_random_positions_are_fixed_for_all_time_and_fit_a_signed_integer() -> None:
    # From `printf 0:a | b2sum -l 64`, and so on; another hash would reshuffle the queue of everyone who upgrades.
    assert random_position(0, "a") == 0xBDE152EAF93EDEE5 >> 1
    assert random_position(1, "a") == 0x9524A66F480A89F3 >> 1
    assert random_position(0, "b") == 0x6209D0AF1014CEE9 >> 1
    assert all(0 <= random_position(seed, str(seed)) < 2**63 for seed in range(1000))


def test_random_positions_spread_evenly() -> None:
    places = [random_position(3, f"scan_{i:05d}") / 2**63 for i in range(4000)]
    counts = [sum(i / 8 <= place < (i + 1) / 8 for place in places) for i in range(8)]
    assert all(430 < count < 570 for count in counts)  # 500 expected, standard deviation 21
