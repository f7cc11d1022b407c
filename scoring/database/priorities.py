"""The order of the queue as it is stored: the priority of each scan by each strategy."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from sqlalchemy import BindParameter, Connection, bindparam, exists, select

from scoring.database.tables import NO_MODEL, ScanState, information, priorities, scans
from scoring.strategies.registry import RANDOM, query_strategies
from scoring.strategies.strategy import Candidates


def rank_new_scans(connection: Connection) -> None:
    """Store priorities of the scans that have none, by the strategies that need no model."""
    ranked = exists().where(
        priorities.c.scan_id == scans.c.id, priorities.c.strategy == RANDOM, priorities.c.generation == NO_MODEL
    )
    _rank_without_model(connection, connection.execute(select(scans.c.id, scans.c.name, scans.c.state).where(~ranked)))


def rank_new_scan(connection: Connection, scan_id: int, name: str, state: ScanState) -> None:
    """Store priorities of one scan that was just added, by the strategies that need no model."""
    _rank_without_model(connection, [(scan_id, name, state)])


def use_random_order(connection: Connection, seed: int) -> None:
    """Put the scans into the random order of `seed`; costs nothing when they are in it already."""
    if _seed(connection) == seed:
        return
    connection.execute(information.update().values(seed=seed))
    for strategy, query in query_strategies().items():
        if not query.needs_model:
            connection.execute(
                priorities.delete().where(priorities.c.strategy == strategy, priorities.c.generation == NO_MODEL)
            )
    rank_new_scans(connection)


def rank_scored_scan(
    connection: Connection, scan_id: int, name: str, generation: str, estimated_dsc: Mapping[str, float] | None
) -> None:
    """Store priorities of a scan by the strategies that need a model, in place of earlier ones.

    Args:
        connection: from `writing`.
        scan_id: row of the scan.
        name: its name.
        generation: id of the generation that estimated.
        estimated_dsc: by class, in [0, 1]; None when there is no estimate, and so no priority.
    """
    earlier = (priorities.c.scan_id == scan_id) & (priorities.c.generation == generation)
    if estimated_dsc is None:
        connection.execute(priorities.delete().where(earlier))
        return
    candidates = Candidates([name], np.array([list(estimated_dsc.values())], dtype=np.float64))
    unlabelled = select(scans.c.state == ScanState.UNLABELLED.value).where(scans.c.id == scan_id).scalar_subquery()
    for strategy, query in query_strategies().items():
        if query.needs_model:
            priority = query.priorities(candidates).item()
            replaced = priorities.update().where(earlier, priorities.c.strategy == strategy).values(priority=priority)
            if not connection.execute(replaced).rowcount:
                row = {"scan_id": scan_id, "strategy": strategy, "generation": generation, "priority": priority}
                connection.execute(priorities.insert().values(**row, waiting=unlabelled))


def set_waiting(connection: Connection, changed: Mapping[int, bool]) -> None:
    """Say of scans, by their rows, whether they are unlabelled."""
    if changed:
        row: BindParameter[int] = bindparam("row")
        connection.execute(
            priorities.update().where(priorities.c.scan_id == row).values(waiting=bindparam("waits")),
            [{"row": scan_id, "waits": waits} for scan_id, waits in changed.items()],
        )


def _rank_without_model(connection: Connection, new: Iterable[Any]) -> None:
    found = list(new)
    if not found:
        return
    candidates = Candidates([name for _, name, _ in found])
    for strategy, query in query_strategies(_seed(connection)).items():
        if not query.needs_model:
            rows = [
                {
                    "scan_id": scan_id,
                    "strategy": strategy,
                    "generation": NO_MODEL,
                    "priority": priority,
                    "waiting": state == ScanState.UNLABELLED,
                }
                for (scan_id, _, state), priority in zip(found, query.priorities(candidates).tolist(), strict=True)
            ]
            connection.execute(priorities.insert(), rows)


def _seed(connection: Connection) -> int:
    return int(connection.execute(select(information.c.seed)).scalar_one())
