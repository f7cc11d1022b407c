"""The order is what is stored, for whatever strategy stored it."""

from typing import ClassVar

import numpy as np
import pytest
from sqlalchemy import Engine

from scoring.database.engine import open_database, reading
from scoring.database.scan_list import mark_labelled, synchronise_scans
from scoring.database.score_records import record_failure, record_score
from scoring.database.tables import leases
from scoring.strategies.least_certain import LeastCertain
from scoring.strategies.random_order import RandomOrder, random_position
from scoring.strategies.strategy import Candidates, QueryStrategy
from scoring.worklist.next_scan import next_scan
from scoring.worklist.queue_order import queue_order

NAMES = ["a", "b", "c", "d", "e", "f"]


class ByName:
    """A strategy of somebody else, last name first; it needs no model."""

    needs_model: ClassVar[bool] = False
    description: ClassVar[str] = "The last name in the alphabet"

    def priorities(self, candidates: Candidates) -> np.ndarray:
        return np.array([-float(ord(name)) for name in candidates.names])


class MostCertain(LeastCertain):
    """And one that needs a model."""

    def priorities(self, candidates: Candidates) -> np.ndarray:
        return -super().priorities(candidates)


def more_strategies(seed: int = 0) -> dict[str, QueryStrategy]:
    return {"random": RandomOrder(seed), "by_name": ByName(), "most_certain": MostCertain()}


@pytest.fixture
def scored(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    for user in ("scoring.database.priorities", "scoring.worklist.queue_order"):
        monkeypatch.setattr(f"{user}.query_strategies", more_strategies)
    monkeypatch.setattr("scoring.worklist.next_scan.STRATEGIES", tuple(more_strategies()))
    synchronise_scans(engine, NAMES, [])
    for name, mean in {"a": 0.25, "b": 0.5, "c": 0.75, "d": 0.5}.items():
        record_score(engine, name, "g", {"lesion": mean}, seconds=1.0)
    record_failure(engine, "f", "g", "truncated", seconds=0.1)
    return engine


@pytest.mark.parametrize(
    ("strategy", "generation", "order"),
    [
        ("by_name", "g", "edcba"),
        ("by_name", None, "fedcba"),
        ("most_certain", "g", "cbdae"),
        ("most_certain", "newer", "".join(sorted(NAMES, key=lambda name: random_position(0, name)))),
        ("random", None, "".join(sorted(NAMES, key=lambda name: random_position(0, name)))),
    ],
)
def test_any_strategy_is_served_in_the_order_of_its_priorities(
    scored: Engine, strategy: str, generation: str | None, order: str
) -> None:
    queries = queue_order(strategy, generation, now=0.0)
    with reading(scored) as connection:
        listed = [row.name for query in queries.served for row in connection.execute(query)]
        broken = [row.name for row in connection.execute(queries.broken)]
    assert "".join(listed) == order
    assert broken == (["f"] if generation == "g" else [])
    for name in order:
        served = next_scan(scored, client="ann", strategy=strategy, generation=generation, lease_seconds=9)
        assert served is not None
        assert served.scan == name


def test_labelled_and_absent_scans_are_in_no_part_of_it(scored: Engine) -> None:
    mark_labelled(scored, "a")
    synchronise_scans(scored, [name for name in NAMES if name not in "bf"], ["a"])
    for strategy in more_strategies():
        queries = queue_order(strategy, "g", now=0.0)
        with reading(scored) as connection:
            listed = [row.name for query in (*queries.served, queries.broken) for row in connection.execute(query)]
        assert sorted(listed) == ["c", "d", "e"]


@pytest.mark.parametrize("strategy", ["least_certain", "random"])
def test_an_index_leads_to_the_first_free_scan_without_sorting(strategy: str) -> None:
    engine = open_database("sqlite://")
    synchronise_scans(engine, NAMES, [])
    for query in queue_order(strategy, "g", now=0.0).served:
        first = str(
            query.where(leases.c.scan_id.is_(None)).limit(1).compile(engine, compile_kwargs={"literal_binds": True})
        )
        with reading(engine) as connection:
            steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {first}")]
        assert "priorities_in_order" in steps[0]
        assert not any("TEMP B-TREE" in step or step.startswith("SCAN") for step in steps)
    engine.dispose()
