"""Scores in the database: one for each scan and generation, either estimates or a reason."""

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, select

from scoring.database.engine import reading, record_event, writing
from scoring.database.scan_list import scan_id
from scoring.database.tables import ScanState, scans, scores


def record_score(
    engine: Engine,
    scan: str,
    generation: str,
    classes: Mapping[str, float],
    *,
    seconds: float,
    now: float | None = None,
) -> float:
    """Store the estimated DSC of a scan, in place of an earlier score or failure.

    Args:
        engine: from `open_database`.
        scan: name of the scan; one that was never listed is added.
        generation: id of the generation that predicted.
        classes: estimated DSC in [0, 1] of each class, by its name.
        seconds: what prediction and estimate took.
        now: seconds since 1970, the present by default.

    Returns:
        The mean over the classes, by which scans are ranked.

    Raises:
        ValueError: no class, or an estimate outside [0, 1].
        DatabaseError: the database cannot be written to.
    """
    wrong = {name: value for name, value in classes.items() if not 0 <= value <= 1}
    if wrong or not classes:
        raise ValueError(f"{scan}: estimated DSC {dict(classes)}; give one value in [0, 1] per class")
    mean = sum(classes.values()) / len(classes)
    values = {"mean": mean, "classes": dict(classes), "error": None}
    _store(engine, scan, generation, values, seconds, now, kind="scored", detail=f"{generation}: {mean:.4f}")
    return mean


def record_failure(
    engine: Engine, scan: str, generation: str, reason: str, *, seconds: float, now: float | None = None
) -> None:
    """Store why a scan could not be scored; while that stands, it is not served.

    Args:
        engine: from `open_database`.
        scan: name of the scan; one that was never listed is added.
        generation: id of the generation that should have predicted.
        reason: one line for a person.
        seconds: how long it was tried.
        now: seconds since 1970, the present by default.

    Raises:
        DatabaseError: the database cannot be written to.
    """
    values = {"mean": None, "classes": None, "error": reason}
    _store(engine, scan, generation, values, seconds, now, kind="failed", detail=f"{generation}: {reason}")


def names_done(engine: Engine, generation: str, *, failed_before: float) -> set[str]:
    """Names of the scans that a scoring run may leave out.

    These are the labelled ones, those with an estimate of this generation, and those that failed
    at `failed_before` (seconds since 1970) or later.

    Raises:
        DatabaseError: the database cannot be read.
    """
    labelled = select(scans.c.name).where(scans.c.state == ScanState.LABELLED.value)
    scored = (
        select(scans.c.name)
        .join(scores)
        .where(scores.c.generation == generation, scores.c.mean.is_not(None) | (scores.c.time >= failed_before))
    )
    with reading(engine) as connection:
        return {*connection.scalars(labelled), *connection.scalars(scored)}


def is_done(engine: Engine, scan: str, generation: str, *, failed_before: float) -> bool:
    """Whether one scan is among `names_done`, asked quickly.

    Raises:
        DatabaseError: the database cannot be read.
    """
    query = (
        select(scans.c.id)
        .outerjoin(scores, (scores.c.scan_id == scans.c.id) & (scores.c.generation == generation))
        .where(scans.c.name == scan)
        .where(
            (scans.c.state == ScanState.LABELLED.value) | scores.c.mean.is_not(None) | (scores.c.time >= failed_before)
        )
    )
    with reading(engine) as connection:
        return connection.scalar(query) is not None


def _store(
    engine: Engine,
    scan: str,
    generation: str,
    values: dict[str, Any],
    seconds: float,
    now: float | None,
    *,
    kind: str,
    detail: str,
) -> None:
    with writing(engine) as connection:
        moment = time.time() if now is None else now
        _replace(connection, scan, generation, values | {"seconds": seconds, "time": moment})
        record_event(connection, kind, time=moment, scan=scan, detail=detail)


def _replace(connection: Connection, scan: str, generation: str, values: dict[str, Any]) -> None:
    id_ = scan_id(connection, scan)
    row = (scores.c.scan_id == id_) & (scores.c.generation == generation)
    if not connection.execute(scores.update().where(row).values(values)).rowcount:
        state = connection.execute(select(scans.c.state).where(scans.c.id == id_)).scalar_one()
        waiting = state == ScanState.UNLABELLED
        connection.execute(scores.insert().values(scan_id=id_, generation=generation, waiting=waiting, **values))
