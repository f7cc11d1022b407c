"""Who labelled how much, day by day."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Engine, select

from scoring.database.engine import reading
from scoring.database.tables import events


@dataclass(frozen=True)
class DayOfLabels:
    """Labels that one annotator submitted on one day.

    Attributes:
        day: in UTC.
        annotator: "" when anonymous.
        labels: scans; one that was submitted twice on a day counts once.
    """

    day: date
    annotator: str
    labels: int


def labels_by_day(engine: Engine, *, since: float) -> list[DayOfLabels]:
    """Give the days on which labels were submitted, the oldest first, annotators in the order of their names.

    Args:
        engine: from `open_database`.
        since: seconds since 1970.

    Raises:
        DatabaseError: the database cannot be read.
    """
    query = (
        select(events.c.time, events.c.client, events.c.scan)
        .where(events.c.kind == "submitted", events.c.time >= since)
        .order_by(events.c.time)
    )
    with reading(engine) as connection:
        submitted = {
            (datetime.fromtimestamp(moment, UTC).date(), client or "", scan)
            for moment, client, scan in connection.execute(query)
        }
    counts = Counter((day, annotator) for day, annotator, _ in submitted)
    return [DayOfLabels(day, annotator, count) for (day, annotator), count in sorted(counts.items())]
