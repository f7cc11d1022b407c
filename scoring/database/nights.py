"""What nights came to, and who labelled what since the last one."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, func, select

from scoring.database.engine import reading, record_event, writing
from scoring.database.tables import events

_KIND = "retrained"


def record_night(engine: Engine, summary: Mapping[str, Any], *, time: float) -> None:
    """Keep the summary of a night.

    Args:
        engine: from `open_database`.
        summary: JSON value.
        time: end of the night, seconds since 1970.

    Raises:
        DatabaseError: the database cannot be written to.
    """
    with writing(engine) as connection:
        record_event(connection, _KIND, time=time, detail=json.dumps(summary, allow_nan=False))


def recent_nights(engine: Engine, *, limit: int = 30) -> list[dict[str, Any]]:
    """Give the summaries of the last nights, the newest first.

    Raises:
        DatabaseError: the database cannot be read.
    """
    query = select(events.c.detail).where(events.c.kind == _KIND).order_by(events.c.id.desc()).limit(limit)
    with reading(engine) as connection:
        return [json.loads(detail) for detail in connection.scalars(query)]


def labels_by_annotator(engine: Engine, *, since: float) -> dict[str, int]:
    """Count the labels that were submitted since a moment, by the name of the annotator, "" for anonymous ones.

    Args:
        engine: from `open_database`.
        since: seconds since 1970.

    Raises:
        DatabaseError: the database cannot be read.
    """
    query = (
        select(events.c.client, func.count(func.distinct(events.c.scan)))
        .where(events.c.kind == "submitted", events.c.time >= since)
        .group_by(events.c.client)
    )
    with reading(engine) as connection:
        return {client or "": count for client, count in connection.execute(query)}
