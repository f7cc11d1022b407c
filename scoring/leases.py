"""Serving scans to annotators: the least certain first, each to one annotator at a time.

A scan that is served is leased to its annotator until a label is submitted or the lease expires,
and is served to nobody else while that lasts. Who asks again without submitting gets another scan.
"""

import time
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, Engine, Select, exists, func, select

from lib.errors import InputError
from scoring.database import reading, record_event, writing
from scoring.scan_list import use_random_order
from scoring.tables import ScanState, leases, scans, scores

Strategy = Literal["least_certain", "random"]


@dataclass(frozen=True)
class Served:
    """A scan given to an annotator.

    Attributes:
        scan: name of the scan.
        mean: mean estimated DSC over the classes in [0, 1]; None when not scored yet.
        classes: estimated DSC of each class, by its name; None when not scored yet.
        expires: end of the lease, seconds since 1970.
        again: nothing else was left, and this client had been served it before.
    """

    scan: str
    mean: float | None
    classes: dict[str, float] | None
    expires: float
    again: bool = False


@dataclass(frozen=True)
class QueueState:
    """How many scans there are of each kind; every scan is of one kind."""

    labelled: int
    leased: int
    broken: int
    free: int

    @property
    def reason(self) -> str:
        """Why nothing is served, in words for the annotator; empty when something is."""
        if self.free:
            return ""
        if not self.labelled + self.leased + self.broken:
            return "There are no scans: put some into the studies folder."
        parts = []
        if self.leased:
            parts.append(f"Unlabelled scans that annotators have at present: {self.leased}; labelled: {self.labelled}.")
        elif self.labelled:
            parts.append(f"All readable scans are labelled ({self.labelled}).")
        if self.broken:
            parts.append(f"Scans that could not be read: {self.broken}; the ranking gives the reasons.")
        return " ".join(parts)


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
        InputError: unknown strategy, a lease that is not positive, or a database that cannot be used.
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


@dataclass(frozen=True)
class Lease:
    """Who has a scan.

    Attributes:
        client: the annotator, "" for an anonymous one.
        expires: end of the lease, seconds since 1970.
    """

    client: str
    expires: float


def lease_scan(
    engine: Engine, scan: str, *, client: str, lease_seconds: float, now: float | None = None
) -> Lease | None:
    """Lease a scan that an annotator chose to them, unless another one has it; their own lease is renewed.

    Args:
        engine: from `open_database`.
        scan: name of the scan.
        client: who asks.
        lease_seconds: for how long the scan is theirs.
        now: seconds since 1970, the present by default.

    Returns:
        The lease, which is another annotator's when they have the scan; None when it is not listed
        or labelled already.

    Raises:
        InputError: no client, or a database that cannot be used.
    """
    if not client:
        raise InputError("client_id: is missing; say who takes the scan")
    with writing(engine) as connection:
        moment = time.time() if now is None else now
        row = connection.execute(
            select(scans.c.id, leases.c.client, leases.c.expires)
            .outerjoin(leases, (leases.c.scan_id == scans.c.id) & (leases.c.expires > moment))
            .where(scans.c.name == scan, scans.c.state == ScanState.UNLABELLED.value)
        ).first()
        if row is None:
            return None
        if row.client is not None and row.client != client:
            return Lease(row.client, row.expires)
        served = Served(scan=scan, mean=None, classes=None, expires=moment + lease_seconds)
        _lease(connection, served, client, moment)
    return Lease(client, served.expires)


def end_lease(engine: Engine, scan: str, *, client: str | None = None, now: float | None = None) -> bool:
    """End the lease of a scan; `mark_labelled` does so by itself.

    Args:
        engine: from `open_database`.
        scan: name of the scan.
        client: whose lease it must be; None ends anybody's.
        now: seconds since 1970, the present by default.

    Returns:
        Whether there was one.

    Raises:
        InputError: the database cannot be written to.
    """
    row = select(scans.c.id).where(scans.c.name == scan).scalar_subquery()
    theirs = leases.c.scan_id == row
    if client is not None:
        theirs &= leases.c.client == client
    with writing(engine) as connection:
        ended = connection.execute(leases.delete().where(theirs)).rowcount > 0
        if ended:
            moment = time.time() if now is None else now
            record_event(connection, "released", time=moment, scan=scan, client=client)
    return ended


def queue_state(engine: Engine, *, generation: str | None, now: float | None = None) -> QueueState:
    """Count what is labelled, leased, broken and free, to say why nothing is served.

    Raises:
        InputError: the database cannot be read.
    """
    moment = time.time() if now is None else now
    unlabelled = scans.c.state == ScanState.UNLABELLED.value
    broken = _score(generation, scores.c.error.is_not(None))
    leased = _leased(moment)

    def count(*conditions: ColumnElement[bool]) -> int:
        return connection.execute(select(func.count()).select_from(scans).where(*conditions)).scalar_one()

    with reading(engine) as connection:
        return QueueState(
            labelled=count(scans.c.state == ScanState.LABELLED.value),
            leased=count(unlabelled, leased, ~broken),
            broken=count(unlabelled, broken),
            free=count(unlabelled, ~leased, ~broken),
        )


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


def _lease(connection: Connection, served: Served, client: str, now: float) -> None:
    id_ = connection.execute(select(scans.c.id).where(scans.c.name == served.scan)).scalar_one()
    values = {"client": client, "served": now, "expires": served.expires}
    if not connection.execute(leases.update().where(leases.c.scan_id == id_).values(values)).rowcount:
        connection.execute(leases.insert().values(scan_id=id_, **values))
    record_event(connection, "served", time=now, scan=served.scan, client=client)


def _score(generation: str | None, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(scores.c.scan_id == scans.c.id, scores.c.generation == generation, *conditions)


def _leased(now: float) -> ColumnElement[bool]:
    return exists().where(leases.c.scan_id == scans.c.id, leases.c.expires > now)
