"""The unlabelled scans, least certain first."""

import time
from dataclasses import dataclass

from sqlalchemy import Engine

from scoring.database.engine import reading
from scoring.worklist.queue_order import queue_order


@dataclass(frozen=True)
class RankedScan:
    """One line of the ranking.

    Attributes:
        scan: name of the scan.
        estimated_dsc: of each class in [0, 1], by its name; None when it has no score.
        mean_estimated_dsc: over the classes; None when it has no score.
        error: why it could not be scored; None when it was, or was not tried yet.
        leased_to: who has it at present, "" for an anonymous annotator; None when nobody has.
        lease_expires: end of that lease, seconds since 1970.
        stamp: of the files that were scored, see `lib.storage.digest.file_stamp`; None when nobody knows.
    """

    scan: str
    estimated_dsc: dict[str, float] | None
    mean_estimated_dsc: float | None
    error: str | None
    leased_to: str | None
    lease_expires: float | None
    stamp: str | None = None


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
    order = queue_order("least_certain", generation, now=moment)
    listed: list[RankedScan] = []
    with reading(engine) as connection:
        for query in (*order.served, order.broken):
            left = None if limit is None else limit - len(listed)
            listed += [
                RankedScan(name, classes, mean, error, client, expires, stamp)
                for _, name, mean, classes, error, stamp, client, expires in connection.execute(query.limit(left))
            ]
    return listed
