"""Serving scans to annotators: the least certain first, each to one annotator at a time.

A scan that is served is leased to its annotator until a label is submitted or the lease expires,
and is served to nobody else while that lasts. Who asks again without submitting gets another scan.
"""

import time
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Engine, Select, exists, select

from lib.errors import InputError
from scoring.database.engine import writing
from scoring.database.scan_list import use_random_order
from scoring.database.tables import ScanState, leases, scans, scores
from scoring.worklist.leases import Served, _lease, _leased, _score

Strategy = Literal["least_certain", "random"]


def next_scan(
    engine: Engine,
    *,
    client: str | None,
    strategy: Strategy,
    generation: str | None,
    lease_seconds: float,
    seed: int = 0,
    now: float | None = None,
) -> Served | None:
    """Serve the next scan to an annotator and lease it to them.

    `least_certain` takes the scan with the lowest mean estimated DSC of the generation, then, or
    before the first generation, unscored ones in the random order of the seed. `random` takes
    that order for all. Neither serves a labelled scan, one that is leased (to this annotator or
    another), or one that could not be scored for this generation: it probably cannot be opened
    either, and it is listed in the ranking with its reason.

    When nothing is left but what this client was served and has not submitted, the one served
    longest ago is served again. An anonymous client shares its name with strangers and is not.

    Args:
        engine: from `open_database`.
        client: who asks; None or "" for an anonymous one.
        strategy: "least_certain" or "random".
        generation: id of the current generation; None before the first.
        lease_seconds: for how long the scan is theirs.
        seed: of the random order.
        now: seconds since 1970, the present by default.

    Returns:
        The scan, or None when nothing is left (`queue_state` says why).

    Raises:
        InputError: unknown strategy, or a lease that is not positive.
        DatabaseError: the database cannot be used.
    """
    if strategy not in get_args(Strategy):
        raise InputError(f"strategy: {strategy!r} is unknown; give one of {', '.join(get_args(Strategy))}")
    if not lease_seconds > 0:
        raise InputError(f"lease: {lease_seconds} seconds is no time to label a scan; give a positive number")
    client = client or ""
    with writing(engine) as connection:
        moment = time.time() if now is None else now
        use_random_order(connection, seed)
        served = _choose(connection, client, strategy, generation, moment, moment + lease_seconds)
        if served is not None:
            _lease(connection, served, client, moment)
    return served


def _choose(
    connection: Connection, client: str, strategy: Strategy, generation: str | None, now: float, expires: float
) -> Served | None:
    unlabelled = scans.c.state == ScanState.UNLABELLED.value
    broken = _score(generation, scores.c.error.is_not(None))
    searches: list[Select[Any]] = []
    if strategy == "least_certain" and generation is not None:
        leased = exists().where(leases.c.scan_id == scores.c.scan_id, leases.c.expires > now)
        best = (
            select(scores.c.scan_id)
            .where(scores.c.generation == generation, scores.c.waiting, scores.c.mean.is_not(None), ~leased)
            .order_by(scores.c.mean, scores.c.scan_id)
            .limit(1)
        )
        searches.append(select(scans.c.name).where(scans.c.id == best.scalar_subquery()))
        broken = _score(generation)
    searches.append(select(scans.c.name).where(unlabelled, ~_leased(now), ~broken).order_by(scans.c.position).limit(1))
    again = False
    names = (connection.scalar(search) for search in searches)
    found = next((name for name in names if name is not None), None)
    if found is None and client:
        again = True
        found = connection.scalar(
            select(scans.c.name)
            .join(leases)
            .where(leases.c.client == client, leases.c.expires > now, unlabelled)
            .where(~_score(generation, scores.c.error.is_not(None)))
            .order_by(leases.c.served, scans.c.position)
            .limit(1)
        )
    if found is None:
        return None
    score = connection.execute(
        select(scores.c.mean, scores.c.classes)
        .join(scans)
        .where(scans.c.name == found, scores.c.generation == generation)
    ).first()
    mean, classes = score if score is not None else (None, None)
    return Served(scan=found, mean=mean, classes=classes, expires=expires, again=again)
