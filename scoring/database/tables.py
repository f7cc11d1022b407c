"""The tables of scans, scores, leases and events."""

from enum import StrEnum

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

SCHEMA_VERSION = 1
"""Raised by whatever changes the tables; a database of another version is refused."""


class ScanState(StrEnum):
    """Where a scan stands. An absent one keeps its scores: a share may be back tomorrow."""

    UNLABELLED = "unlabelled"
    LABELLED = "labelled"
    ABSENT = "absent"


metadata = MetaData()

information = Table(
    "information",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
)
"""One row: the version of the tables, and the seed of the random order that `scans.position` holds."""

scans = Table(
    "scans",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("state", String(10), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("labelled_at", Double),
    Index("scans_by_position", "state", "position"),
)

scores = Table(
    "scores",
    metadata,
    Column("scan_id", ForeignKey("scans.id", ondelete="CASCADE"), primary_key=True),
    Column("generation", String(255), primary_key=True),
    Column("waiting", Boolean, nullable=False),
    Column("mean", Double),
    Column("classes", JSON(none_as_null=True)),
    Column("error", Text),
    Column("seconds", Double, nullable=False),
    Column("time", Double, nullable=False),
    Index("scores_by_mean", "generation", "waiting", "mean", "scan_id"),
)
"""Estimated DSC: mean over the classes and one value per class name; or the reason why there is none.

`waiting` says that the scan is unlabelled. It repeats `scans.state`, so that the index leads straight
to the next scan however many were labelled since the generation was published.
"""

leases = Table(
    "leases",
    metadata,
    Column("scan_id", ForeignKey("scans.id", ondelete="CASCADE"), primary_key=True),
    Column("client", String(255), nullable=False),
    Column("served", Double, nullable=False),
    Column("expires", Double, nullable=False),
    Index("leases_by_client", "client", "served"),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("time", Double, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("scan", String(255)),
    Column("client", String(255)),
    Column("detail", Text),
    Index("events_by_kind", "kind", "time"),
)
