"""Which of two labels of a scan stands; the other one is kept, and whoever sent it is told."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine

from apps.calibrated_ensemble.annotator import annotator_of
from apps.calibrated_ensemble.datastores.kept_labels import KeptLabels
from lib.errors import ConflictError, InputError
from lib.images.files import read_label
from lib.task.task import Task
from scoring.database.engine import record_event, writing

logger = logging.getLogger(__name__)

STARTED_FROM = "started_from"
"""What a submission says it began from: the version of the label that stood then, "" where there was none."""


@dataclass(frozen=True)
class StandingLabel:
    """The label that a scan has.

    Attributes:
        version: tells it from other labels of the scan.
        file: of the label.
        stays: whether it stays readable when another one is stored, as objects of a PACS do.
        submitted_by: name of the annotator, "" when not known.
        submitted_at: seconds since 1970; None when not known.
    """

    version: str
    file: Path
    stays: bool = False
    submitted_by: str = ""
    submitted_at: float | None = None


class LabelVersions:
    """Keeps the older of two labels, or the one that does not know of the other.

    Args:
        task: names the classes.
        engine: from `scoring.database.engine.open_database`.
        kept: where labels go that do not stand.
    """

    def __init__(self, task: Task, engine: Engine, kept: KeptLabels):
        self._task = task
        self._engine = engine
        self._kept = kept

    def make_room(self, scan: str, standing: StandingLabel | None, label: Path, sent: Mapping[str, Any]) -> list[str]:
        """Decide whether a label may take the place of the one that stands; to be called just before it does.

        A client that does not say what it began from, such as 3D Slicer, replaces what stands.

        Args:
            scan: name of the scan.
            standing: its label, None without one.
            label: the file to be stored, with the task's values.
            sent: what the client sent beside the file.

        Returns:
            Lines for the annotator.

        Raises:
            ConflictError: another label came after the annotator began; theirs is kept.
            InputError: `started_from` is no text.
            StorageError: a label cannot be kept.
        """
        started_from = sent.get(STARTED_FROM)
        if not isinstance(started_from, str | None):
            raise InputError(
                f"{STARTED_FROM}: is {started_from!r:.50}; give the label_version that the work began from"
            )
        if standing is None or self._is_same(standing.file, label):
            return []
        who, when = standing.submitted_by or "Somebody", _moment(standing.submitted_at)
        if started_from not in (None, standing.version):
            kept = self._keep(scan, label, annotator_of(sent), "a label that came in between stands")
            raise ConflictError(
                f"{who} submitted a label of this scan{when} that you did not begin from. Theirs stands, "
                f"and yours is kept on the server as {kept.name}; choose which one shall stand",
                {
                    "conflict": "label",
                    "label_version": standing.version,
                    "submitted_by": standing.submitted_by,
                    "submitted_at": standing.submitted_at,
                    "kept_as": kept.name,
                },
            )
        if standing.stays:
            return []
        kept = self._keep(scan, standing.file, standing.submitted_by, "another label took its place")
        if started_from is not None:
            return []
        return [
            f"The label that {who.lower() if not standing.submitted_by else who} submitted{when} is replaced; "
            f"it is kept on the server as {kept.name}"
        ]

    def _is_same(self, standing: Path, label: Path) -> bool:
        try:
            first, second = (read_label(path, values=self._task.labels) for path in (standing, label))
        except InputError as error:
            logger.warning("Labels are taken for different: %s", error)
            return False
        return first.shape == second.shape and np.array_equal(first.array, second.array)

    def _keep(self, scan: str, label: Path, client: str, why: str) -> Path:
        kept = self._kept.keep(scan, label)
        logger.info("A label of %r is kept as %s: %s", scan, kept, why)
        with writing(self._engine) as connection:
            record_event(
                connection, "kept", time=time.time(), scan=scan, client=client, detail=f"{why}; it is {kept.name}"
            )
        return kept


def _moment(seconds: float | None) -> str:
    return "" if seconds is None else f" at {datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
