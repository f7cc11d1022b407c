"""Scores in the database: one for each scan and generation, either estimates or a reason."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, select

from scoring.database.engine import reading, record_event, writing
from scoring.database.priorities import rank_scored_scan
from scoring.database.scan_list import scan_id
from scoring.database.tables import ScanState, scans, scores


class Scored(NamedTuple):
    """What was scored.

    Attributes:
        stamp: of the files, see `lib.storage.digest.file_stamp`.
        content: digest of the files; None where they could not be read.
    """

    stamp: str | None = None
    content: str | None = None


UNKNOWN = Scored()
"""Nobody knows what was scored."""


@dataclass(frozen=True)
class Done:
    """What a scoring run may leave out.

    Attributes:
        labelled: names of labelled scans.
        stamps: for a scan with an estimate, or a failure that stands, the stamp of the files that were scored.
    """

    labelled: frozenset[str]
    stamps: Mapping[str, str | None]

    def covers(self, scan: str, stamp: str) -> bool:
        """Whether a scan whose files have this stamp now may be left out."""
        return scan in self.labelled or self.stamps.get(scan) == stamp


def record_score(
    engine: Engine,
    scan: str,
    generation: str,
    classes: Mapping[str, float],
    *,
    seconds: float,
    scored: Scored = UNKNOWN,
    now: float | None = None,
) -> float:
    """Store the estimated DSC of a scan and what strategies make of it, in place of an earlier score or failure.

    Args:
        engine: from `open_database`.
        scan: name of the scan; one that was never listed is added.
        generation: id of the generation that predicted.
        classes: estimated DSC in [0, 1] of each class, by its name.
        seconds: what prediction and estimate took.
        scored: what was scored.
        now: seconds since 1970, the present by default.

    Returns:
        The mean over the classes.

    Raises:
        ValueError: no class, or an estimate outside [0, 1].
        DatabaseError: the database cannot be written to.
    """
    wrong = {name: value for name, value in classes.items() if not 0 <= value <= 1}
    if wrong or not classes:
        raise ValueError(f"{scan}: estimated DSC {dict(classes)}; give one value in [0, 1] per class")
    mean = sum(classes.values()) / len(classes)
    values = {"mean": mean, "classes": dict(classes), "error": None}
    _store(engine, scan, generation, values, scored, seconds, now, kind="scored", detail=f"{generation}: {mean:.4f}")
    return mean


def record_failure(
    engine: Engine,
    scan: str,
    generation: str,
    reason: str,
    *,
    seconds: float,
    scored: Scored = UNKNOWN,
    now: float | None = None,
) -> None:
    """Store why a scan could not be scored; while that stands, it is not served.

    Args:
        engine: from `open_database`.
        scan: name of the scan; one that was never listed is added.
        generation: id of the generation that should have predicted.
        reason: one line for a person.
        seconds: how long it was tried.
        scored: what was tried.
        now: seconds since 1970, the present by default.

    Raises:
        DatabaseError: the database cannot be written to.
    """
    values = {"mean": None, "classes": None, "error": reason}
    _store(engine, scan, generation, values, scored, seconds, now, kind="failed", detail=f"{generation}: {reason}")


def scans_done(engine: Engine, generation: str, *, failed_before: float, scan: str | None = None) -> Done:
    """Give the scans that a scoring run may leave out.

    These are the labelled ones, and those with an estimate of this generation or a failure at `failed_before`
    (seconds since 1970) or later, as long as their files are those that were scored.

    Args:
        engine: from `open_database`.
        generation: id of the generation that scores.
        failed_before: failures before this are tried again.
        scan: asks for this one alone, which is quick; None for all.

    Raises:
        DatabaseError: the database cannot be read.
    """
    labelled = select(scans.c.name).where(scans.c.state == ScanState.LABELLED.value)
    found = (
        select(scans.c.name, scores.c.stamp)
        .join(scores)
        .where(scores.c.generation == generation, scores.c.mean.is_not(None) | (scores.c.time >= failed_before))
    )
    if scan is not None:
        labelled, found = labelled.where(scans.c.name == scan), found.where(scans.c.name == scan)
    with reading(engine) as connection:
        stamps = {name: stamp for name, stamp in connection.execute(found)}  # noqa: C416 (rows are no pairs to mypy)
        return Done(frozenset(connection.scalars(labelled)), stamps)


def keep_score(engine: Engine, scan: str, generation: str, scored: Scored) -> bool:
    """Let the estimate of a scan stand where its content is still the one that was scored, whatever wrote the files.

    Args:
        engine: from `open_database`.
        scan: name of the scan.
        generation: id of the generation that predicted.
        scored: the files as they are now.

    Returns:
        Whether it stands; False where the scan must be scored, for there is no estimate of this content.

    Raises:
        DatabaseError: the database cannot be written to.
    """
    if scored.content is None:
        return False
    id_ = select(scans.c.id).where(scans.c.name == scan).scalar_subquery()
    row = (scores.c.scan_id == id_) & (scores.c.generation == generation)
    same = (scores.c.content == scored.content) & scores.c.mean.is_not(None)
    with writing(engine) as connection:
        return connection.execute(scores.update().where(row, same).values(stamp=scored.stamp)).rowcount > 0


def _store(
    engine: Engine,
    scan: str,
    generation: str,
    values: dict[str, Any],
    scored: Scored,
    seconds: float,
    now: float | None,
    *,
    kind: str,
    detail: str,
) -> None:
    with writing(engine) as connection:
        moment = time.time() if now is None else now
        _replace(connection, scan, generation, values | scored._asdict() | {"seconds": seconds, "time": moment})
        record_event(connection, kind, time=moment, scan=scan, detail=detail)


def _replace(connection: Connection, scan: str, generation: str, values: dict[str, Any]) -> None:
    id_ = scan_id(connection, scan)
    row = (scores.c.scan_id == id_) & (scores.c.generation == generation)
    if not connection.execute(scores.update().where(row).values(values)).rowcount:
        connection.execute(scores.insert().values(scan_id=id_, generation=generation, **values))
    rank_scored_scan(connection, id_, scan, generation, values["classes"])
