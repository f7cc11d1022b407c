import pytest
from sqlalchemy import Engine, select

from scoring.database.engine import reading, writing
from scoring.database.priorities import use_random_order
from scoring.database.scan_list import mark_labelled, synchronise_scans
from scoring.database.score_records import record_failure, record_score
from scoring.database.tables import priorities, scans
from scoring.strategies.random_order import random_position


def stored(engine: Engine, strategy: str) -> dict[tuple[str, str], float]:
    """Priority by scan and generation."""
    query = select(scans.c.name, priorities.c.generation, priorities.c.priority).join(priorities)
    with reading(engine) as connection:
        found = connection.execute(query.where(priorities.c.strategy == strategy))
        return {(name, generation): priority for name, generation, priority in found}


def test_the_random_order_is_that_of_the_seed_however_the_scans_came(engine: Engine) -> None:
    def order() -> list[str]:
        with reading(engine) as connection:
            query = select(scans.c.name).join(priorities).where(priorities.c.strategy == "random")
            return list(connection.scalars(query.order_by(priorities.c.priority)))

    every = [f"scan_{i}" for i in range(40)]
    synchronise_scans(engine, every[:20], [])
    with writing(engine) as connection:
        use_random_order(connection, 5)
    synchronise_scans(engine, every, [])
    assert order() == sorted(every, key=lambda name: random_position(5, name))
    with writing(engine) as connection:
        use_random_order(connection, 6)
    assert order() == sorted(every, key=lambda name: random_position(6, name))


def test_a_priority_waits_exactly_while_its_scan_is_unlabelled(engine: Engine) -> None:
    def waiting() -> dict[str, bool]:
        query = select(scans.c.name, priorities.c.waiting).join(priorities)
        with reading(engine) as connection:
            rows = connection.execute(query).all()
        assert len(rows) == 6  # by two strategies
        assert len(set(rows)) == 3
        return {name: bool(value) for name, value in rows}

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


def test_a_score_gives_a_priority_for_its_generation_and_a_failure_takes_it_away(engine: Engine) -> None:
    record_score(engine, "a", "g", {"organ": 0.5, "lesion": 0.25}, seconds=1.0)
    record_score(engine, "a", "newer", {"organ": 0.5, "lesion": 0.75}, seconds=1.0)
    assert stored(engine, "least_certain") == {("a", "g"): 0.375, ("a", "newer"): 0.625}
    record_score(engine, "a", "newer", {"organ": 1.0, "lesion": 0.5}, seconds=1.0)
    record_failure(engine, "a", "g", "truncated", seconds=0.1)
    assert stored(engine, "least_certain") == {("a", "newer"): 0.75}


@pytest.mark.parametrize("seed", [0, 3])
def test_every_scan_has_its_place_in_the_random_order_however_it_came(engine: Engine, seed: int) -> None:
    with writing(engine) as connection:
        use_random_order(connection, seed)
    synchronise_scans(engine, ["a", "b"], ["b"])
    record_score(engine, "c", "g", {"lesion": 0.5}, seconds=1.0)
    mark_labelled(engine, "d")
    assert stored(engine, "random") == {(name, ""): random_position(seed, name) / 2**63 for name in "abcd"}
