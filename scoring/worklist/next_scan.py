"""Serving scans to annotators: in the order of a strategy, each to one annotator at a time.

A scan that is served is leased to its annotator until a label is submitted or the lease expires,
and is served to nobody else while that lasts. Who asks again without submitting gets another scan.
"""

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row

from lib.errors import InputError
from scoring.database.engine import writing
from scoring.database.priorities import use_random_order
from scoring.database.tables import leases, priorities
from scoring.strategies.registry import RANDOM, STRATEGIES
from scoring.worklist.leases import take_lease
from scoring.worklist.queue_order import queue_order


@dataclass(frozen=True)
class Served:
    """A scan given to an annotator.

    Attributes:
        scan: name of the scan.
        estimated_dsc: of each class in [0, 1], by its name; None when not scored yet.
        mean_estimated_dsc: over the classes; None when not scored yet.
        expires: end of the lease, seconds since 1970.
        again: nothing else was left, and this client had been served it before.
        stamp: of the files that were scored, see `lib.storage.digest.file_stamp`; None when nobody knows.
    """

    scan: str
    estimated_dsc: dict[str, float] | None
    mean_estimated_dsc: float | None
    expires: float
    again: bool = False
    stamp: str | None = None


def next_scan(
    engine: Engine,
    *,
    client: str | None,
    strategy: str,
    generation: str | None,
    lease_seconds: float,
    seed: int = 0,
    now: float | None = None,
) -> Served | None:
    """Serve the next scan to an annotator and lease it to them.

    The scan with the lowest priority of the strategy comes first; then, or before the first
    generation, those that have none yet in the random order of the seed. A labelled scan is not
    served, nor one that is leased (to this annotator or another), nor one that could not be scored
    for this generation: it probably cannot be opened either, and it is listed in the ranking with
    its reason.

    When nothing is left but what this client was served and has not submitted, the one served
    longest ago is served again. An anonymous client shares its name with strangers and is not.

    Args:
        engine: from `open_database`.
        client: who asks; None or "" for an anonymous one.
        strategy: a name in `scoring.strategies.registry.STRATEGIES`.
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
    if strategy not in STRATEGIES:
        raise InputError(f"strategy: {strategy!r} is unknown; give one of {', '.join(STRATEGIES)}")
    if not lease_seconds > 0:
        raise InputError(f"lease: {lease_seconds} seconds is no time to label a scan; give a positive number")
    client = client or ""
    with writing(engine) as connection:
        moment = time.time() if now is None else now
        use_random_order(connection, seed)
        found, again = _first_free(connection, strategy, generation, moment), False
        if found is None and client:
            found, again = _longest_ago(connection, client, generation, moment), True
        if found is None:
            return None
        expires = moment + lease_seconds
        take_lease(connection, found.id, found.name, client=client, now=moment, expires=expires)
    return Served(found.name, found.classes, found.mean, expires, again, found.stamp)


def _first_free(connection: Connection, strategy: str, generation: str | None, now: float) -> Row[Any] | None:
    for query in queue_order(strategy, generation, now=now).served:
        found = connection.execute(query.where(leases.c.scan_id.is_(None)).limit(1)).first()
        if found is not None:
            return found
    return None


def _longest_ago(connection: Connection, client: str, generation: str | None, now: float) -> Row[Any] | None:
    (everything,) = queue_order(RANDOM, generation, now=now).served
    theirs = everything.where(leases.c.client == client).order_by(None)
    return connection.execute(theirs.order_by(leases.c.served, priorities.c.priority).limit(1)).first()
