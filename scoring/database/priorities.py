"""The order of the queue as it is stored: the priority of each scan by each strategy."""

from collections.abc import Iterable, Mapping, Sequence
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
    connection: Connection, scan_id: int, generation: str, estimated_dsc: Mapping[str, float] | None
) -> None:
    """Store priorities of a scan by the strategies that need a model, in place of earlier ones.

    Args:
        connection: from `writing`.
        scan_id: row of the scan.
        generation: id of the generation that estimated.
        estimated_dsc: by class, in [0, 1]; None when there is no estimate, and so no priority.
    """
    connection.execute(
        priorities.delete().where(priorities.c.scan_id == scan_id, priorities.c.generation == generation)
    )
    if estimated_dsc is None:
        return
    name, state = connection.execute(select(scans.c.name, scans.c.state).where(scans.c.id == scan_id)).one()
    candidates = Candidates([name], np.array([list(estimated_dsc.values())], dtype=np.float64))
    rows = []
    for strategy, query in query_strategies(_seed(connection)).items():
        if query.needs_model:
            rows += _rows(strategy, generation, [scan_id], [state], query.priorities(candidates))
    connection.execute(priorities.insert(), rows)


def set_waiting(connection: Connection, changed: Mapping[int, bool]) -> None:
    """Say of scans, by their rows, whether they are unlabelled."""
    if changed:
        row: BindParameter[int] = bindparam("row")
        connection.execute(
            priorities.update().where(priorities.c.scan_id == row).values(waiting=bindparam("waits")),
            [{"row": scan_id, "waits": waits} for scan_id, waits in changed.items()],
        )


def _rank_without_model(connection: Connection, new: Iterable[Any]) -> None:
    ids, names, states = [], [], []
    for scan_id, name, state in new:
        ids.append(scan_id)
        names.append(name)
        states.append(state)
    if not ids:
        return
    for strategy, query in query_strategies(_seed(connection)).items():
        if not query.needs_model:
            rows = _rows(strategy, NO_MODEL, ids, states, query.priorities(Candidates(names)))
            connection.execute(priorities.insert(), rows)


def _rows(
    strategy: str, generation: str, ids: Sequence[int], states: Sequence[str], values: np.ndarray
) -> list[dict[str, Any]]:
    return [
        {
            "scan_id": scan_id,
            "strategy": strategy,
            "generation": generation,
            "priority": priority,
            "waiting": state == ScanState.UNLABELLED,
        }
        for scan_id, state, priority in zip(ids, states, values.tolist(), strict=True)
    ]


def _seed(connection: Connection) -> int:
    return int(connection.execute(select(information.c.seed)).scalar_one())
