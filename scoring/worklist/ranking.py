"""The unlabelled scans, least certain first."""

import time
from dataclasses import dataclass

from sqlalchemy import Engine, and_, case, select

from scoring.database.engine import reading
from scoring.database.tables import ScanState, leases, scans, scores


@dataclass(frozen=True)
class RankedScan:
    """One line of the ranking.

    Attributes:
        scan: name of the scan.
        mean: mean estimated DSC over the classes in [0, 1]; None when it has no score.
        classes: estimated DSC of each class, by its name; None when it has no score.
        error: why it could not be scored; None when it was, or was not tried yet.
        leased_to: who has it at present, "" for an anonymous annotator; None when nobody has.
        lease_expires: end of that lease, seconds since 1970.
    """

    scan: str
    mean: float | None
    classes: dict[str, float] | None
    error: str | None
    leased_to: str | None
    lease_expires: float | None


def ranking(
    engine: Engine, generation: str | None, *, limit: int | None = None, now: float | None = None
) -> list[RankedScan]:
    """List the unlabelled scans in the order in which `least_certain` serves them.

    Scored ones come first, lowest mean estimated DSC first; then those not scored yet for this
    generation, in the random order that they are served in; last those that could not be scored,
    which are not served, each with its reason.

    Args:
        engine: from `open_database`.
        generation: id of the generation whose scores count; None before the first.
        limit: longest list wanted.
        now: seconds since 1970, the present by default; expired leases are not shown.

    Raises:
        DatabaseError: the database cannot be read.
    """
    moment = time.time() if now is None else now
    kind = case((scores.c.mean.is_not(None), 0), (scores.c.error.is_not(None), 2), else_=1)
    # Ties of scored scans go by row, as in `next_scan`; all others by the random order.
    tie = case((scores.c.mean.is_not(None), scans.c.id), else_=scans.c.position)
    query = (
        select(scans.c.name, scores.c.mean, scores.c.classes, scores.c.error, leases.c.client, leases.c.expires)
        .select_from(scans)
        .outerjoin(scores, and_(scores.c.scan_id == scans.c.id, scores.c.generation == generation))
        .outerjoin(leases, and_(leases.c.scan_id == scans.c.id, leases.c.expires > moment))
        .where(scans.c.state == ScanState.UNLABELLED.value)
        .order_by(kind, scores.c.mean, tie)
        .limit(limit)
    )
    with reading(engine) as connection:
        return [RankedScan(*row) for row in connection.execute(query)]
