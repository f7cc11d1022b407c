"""Which scans there are, and which are labelled."""

import time
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import BindParameter, Connection, Engine, bindparam, func, select

from scoring.database.engine import reading, record_event, writing
from scoring.database.priorities import rank_new_scan, rank_new_scans, set_waiting
from scoring.database.tables import ScanState, events, leases, scans


def synchronise_scans(
    engine: Engine, names: Iterable[str], labelled: Collection[str], *, last_event: int | None = None
) -> None:
    """Make the database's list of scans that of the studies folder.

    New scans are added. Scans no longer listed are neither served nor ranked, but keep their
    scores for the case that they come back.

    Args:
        engine: from `open_database`.
        names: all scans.
        labelled: those of them that have a final label.
        last_event: see the function of this name, asked before the two were listed; a scan that `mark_labelled`
            marked after that stays labelled. It is no time of day, since clocks differ and jump. None: just now.

    Raises:
        DatabaseError: the database cannot be written to.
    """
    labelled = frozenset(labelled)
    wanted = {name: ScanState.LABELLED if name in labelled else ScanState.UNLABELLED for name in names}
    with writing(engine) as connection:
        changed: dict[int, ScanState] = {}
        newer = set() if last_event is None else _submitted_after(connection, last_event)
        for id_, name, state in connection.execute(select(scans.c.id, scans.c.name, scans.c.state)):
            new = wanted.pop(name, ScanState.ABSENT)
            if new != state and not (name in newer and state == ScanState.LABELLED):
                changed[id_] = new
        _set_states(connection, changed)
        if wanted:
            connection.execute(scans.insert(), [{"name": name, "state": state.value} for name, state in wanted.items()])
            rank_new_scans(connection)


def last_event(engine: Engine) -> int:
    """Number of the last event that is recorded; what happens later has a higher one.

    Raises:
        DatabaseError: the database cannot be read.
    """
    with reading(engine) as connection:
        return int(connection.scalar(select(func.max(events.c.id))) or 0)


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
        _set_states(connection, {id_: ScanState.LABELLED})
        connection.execute(scans.update().where(scans.c.id == id_).values(labelled_at=moment))
        connection.execute(leases.delete().where(leases.c.scan_id == id_))
        record_event(connection, "submitted", time=moment, scan=scan, client=client, detail=detail)


def scan_id(connection: Connection, name: str) -> int:
    """Row of a scan; one that was never listed is added as unlabelled."""
    found = connection.scalar(select(scans.c.id).where(scans.c.name == name))
    if found is not None:
        return int(found)
    result = connection.execute(scans.insert().values(name=name, state=ScanState.UNLABELLED.value))
    assert result.inserted_primary_key is not None  # the table has one integer key
    id_ = int(result.inserted_primary_key[0])
    rank_new_scan(connection, id_, name, ScanState.UNLABELLED)
    return id_


def _submitted_after(connection: Connection, event: int) -> set[str]:
    found = connection.scalars(select(events.c.scan).where(events.c.id > event, events.c.kind == "submitted"))
    return {str(name) for name in found}


def _set_states(connection: Connection, changed: Mapping[int, ScanState]) -> None:
    if changed:
        row: BindParameter[int] = bindparam("row")
        connection.execute(
            scans.update().where(scans.c.id == row).values(state=bindparam("new")),
            [{"row": id_, "new": state.value} for id_, state in changed.items()],
        )
        set_waiting(connection, {id_: state == ScanState.UNLABELLED for id_, state in changed.items()})
