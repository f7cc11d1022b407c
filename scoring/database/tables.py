"""The tables of scans, scores, priorities, leases and events."""

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

SCHEMA_VERSION = 3
"""Raised by whatever changes the tables, which adds a step to `scoring.database.upgrades`."""

NO_MODEL = ""
"""Stands for the generation in priorities of a strategy that needs no model."""


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
"""One row: the version of the tables, and the seed of the random order that `priorities` holds."""

scans = Table(
    "scans",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("state", String(10), nullable=False),
    Column("labelled_at", Double),
    Index("scans_by_state", "state"),
)

scores = Table(
    "scores",
    metadata,
    Column("scan_id", ForeignKey("scans.id", ondelete="CASCADE"), primary_key=True),
    Column("generation", String(255), primary_key=True),
    Column("mean", Double),
    Column("classes", JSON(none_as_null=True)),
    Column("error", Text),
    Column("seconds", Double, nullable=False),
    Column("time", Double, nullable=False),
    Column("stamp", Text),
    Column("content", String(64)),
    Index("scores_by_generation", "generation"),
)
"""Estimated DSC: mean over the classes and one value per class name; or the reason why there is none.

`content` is the digest of the files that were scored, `stamp` what `lib.storage.digest.file_stamp` says of them:
while it is the same, so is the content.
"""

priorities = Table(
    "priorities",
    metadata,
    Column("scan_id", ForeignKey("scans.id", ondelete="CASCADE"), primary_key=True),
    Column("strategy", String(32), primary_key=True),
    Column("generation", String(255), primary_key=True),
    Column("priority", Double, nullable=False),
    Column("waiting", Boolean, nullable=False),
    Index("priorities_in_order", "strategy", "generation", "waiting", "priority", "scan_id"),
)
"""What strategies make of scans, lowest first; a scan that a strategy has nothing to say of has no row.

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
