"""Which scans there are, which are labelled, and the random order in which unscored ones are served."""

import hashlib
import time
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import BindParameter, Connection, Engine, bindparam, select

from scoring.database.engine import record_event, writing
from scoring.database.tables import ScanState, information, leases, scans, scores


def random_position(seed: int, name: str) -> int:
    """Place of a scan in the random order of a seed: a 63-bit hash, the same on every machine."""
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def synchronise_scans(
    engine: Engine, names: Iterable[str], labelled: Collection[str], *, listed_at: float | None = None
) -> None:
    """Make the database's list of scans that of the studies folder.

    New scans are added. Scans no longer listed are neither served nor ranked, but keep their
    scores for the case that they come back.

    Args:
        engine: from `open_database`.
        names: all scans.
        labelled: those of them that have a final label.
        listed_at: when the two were listed, seconds since 1970; a scan that `mark_labelled`
            marked after that stays labelled. None: just now.

    Raises:
        DatabaseError: the database cannot be written to.
    """
    labelled = frozenset(labelled)
    wanted = {name: ScanState.LABELLED if name in labelled else ScanState.UNLABELLED for name in names}
    with writing(engine) as connection:
        seed = _seed(connection)
        changed: list[dict[str, Any]] = []
        for id_, name, state, labelled_at in connection.execute(
            select(scans.c.id, scans.c.name, scans.c.state, scans.c.labelled_at)
        ):
            new = wanted.pop(name, ScanState.ABSENT)
            newer = listed_at is not None and labelled_at is not None and labelled_at > listed_at
            if new != state and not (newer and state == ScanState.LABELLED):
                changed.append({"row": id_, "new": new.value, "waits": new == ScanState.UNLABELLED})
        _set_states(connection, changed)
        added = [
            {"name": name, "state": state.value, "position": random_position(seed, name)}
            for name, state in wanted.items()
        ]
        if added:
            connection.execute(scans.insert(), added)


def mark_labelled(
    engine: Engine, scan: str, *, client: str | None = None, detail: str | None = None, now: float | None = None
) -> None:
    """Record that a label was submitted: the scan is not served again, and its lease ends.

    Args:
        engine: from `open_database`.
        scan: name of the scan; one that was never listed is added.
        client: who submitted.
        detail: one line for the log, such as the warnings of the label's review.
        now: seconds since 1970, the present by default.

    Raises:
        DatabaseError: the database cannot be written to.
    """
    moment = time.time() if now is None else now
    with writing(engine) as connection:
        id_ = scan_id(connection, scan)
        _set_states(connection, [{"row": id_, "new": ScanState.LABELLED.value, "waits": False}])
        connection.execute(scans.update().where(scans.c.id == id_).values(labelled_at=moment))
        connection.execute(leases.delete().where(leases.c.scan_id == id_))
        record_event(connection, "submitted", time=moment, scan=scan, client=client, detail=detail)


def scan_id(connection: Connection, name: str) -> int:
    """Row of a scan; one that was never listed is added as unlabelled."""
    found = connection.scalar(select(scans.c.id).where(scans.c.name == name))
    if found is not None:
        return int(found)
    position = random_position(_seed(connection), name)
    result = connection.execute(scans.insert().values(name=name, state=ScanState.UNLABELLED.value, position=position))
    assert result.inserted_primary_key is not None  # the table has one integer key
    return int(result.inserted_primary_key[0])


def use_random_order(connection: Connection, seed: int) -> None:
    """Put the scans into the random order of `seed`; costs nothing when they are in it already."""
    if _seed(connection) == seed:
        return
    rows = [
        {"row": id_, "new": random_position(seed, name)}
        for id_, name in connection.execute(select(scans.c.id, scans.c.name))
    ]
    if rows:
        connection.execute(scans.update().where(scans.c.id == bindparam("row")).values(position=bindparam("new")), rows)
    connection.execute(information.update().values(seed=seed))


def _set_states(connection: Connection, changed: list[dict[str, Any]]) -> None:
    if changed:
        row: BindParameter[int] = bindparam("row")
        connection.execute(scans.update().where(scans.c.id == row).values(state=bindparam("new")), changed)
        connection.execute(scores.update().where(scores.c.scan_id == row).values(waiting=bindparam("waits")), changed)


def _seed(connection: Connection) -> int:
    return int(connection.execute(select(information.c.seed)).scalar_one())
