"""Who has which scan, and for how long."""

import time
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Engine, exists, select

from lib.errors import InputError
from scoring.database.engine import record_event, writing
from scoring.database.tables import ScanState, leases, scans, scores


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
        InputError: no client.
        DatabaseError: the database cannot be used.
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
        DatabaseError: the database cannot be written to.
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
