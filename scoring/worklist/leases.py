"""Who has which scan, and for how long."""

import time
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select

from lib.errors import InputError
from scoring.database.engine import record_event, writing
from scoring.database.tables import ScanState, leases, scans


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

    A renewal is no serving: the time at which the scan was served stays, so that it is known how long they take.

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
        expires = moment + lease_seconds
        if row.client == client:
            connection.execute(leases.update().where(leases.c.scan_id == row.id).values(expires=expires))
        else:
            take_lease(connection, row.id, scan, client=client, now=moment, expires=expires)
    return Lease(client, expires)


def end_lease(
    engine: Engine, scan: str, *, client: str | None = None, expires: float | None = None, now: float | None = None
) -> bool:
    """End the lease of a scan; `mark_labelled` does so by itself.

    Args:
        engine: from `open_database`.
        scan: name of the scan.
        client: whose lease it must be; None ends anybody's.
        expires: when the lease that is meant ends, seconds since 1970; one that was renewed since stays. None ends
            any.
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
    if expires is not None:
        theirs &= leases.c.expires <= expires
    with writing(engine) as connection:
        ended = connection.execute(leases.delete().where(theirs)).rowcount > 0
        if ended:
            moment = time.time() if now is None else now
            record_event(connection, "released", time=moment, scan=scan, client=client)
    return ended


def take_lease(connection: Connection, scan_id: int, scan: str, *, client: str, now: float, expires: float) -> None:
    """Write that a scan is an annotator's, in place of an earlier lease, and log that it was served.

    Args:
        connection: from `writing`, in which the scan was found to be free or theirs.
        scan_id: row of the scan.
        scan: its name.
        client: whose it is, "" for an anonymous one.
        now: seconds since 1970.
        expires: end of the lease, seconds since 1970.
    """
    values = {"client": client, "served": now, "expires": expires}
    if not connection.execute(leases.update().where(leases.c.scan_id == scan_id).values(values)).rowcount:
        connection.execute(leases.insert().values(scan_id=scan_id, **values))
    record_event(connection, "served", time=now, scan=scan, client=client)
