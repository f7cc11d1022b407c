"""What happens to a label that an annotator submits: review, then the end of the lease."""

import logging
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from apps.calibrated_ensemble.datastore_scans import FINAL
from lib.atomic import atomic_path
from lib.errors import InputError
from lib.task import Task
from lib.volume import check_same_grid, read_scan
from scoring.database import record_event, writing
from scoring.label_review import review_label
from scoring.scan_list import mark_labelled

logger = logging.getLogger(__name__)


class LabelSubmission:
    """Reviews and records submitted labels.

    Args:
        task: names the classes and the region tag.
        engine: from `scoring.database.open_database`.
        refused_folder: where refused labels are kept.
    """

    def __init__(self, task: Task, engine: Engine, refused_folder: Path):
        self._task = task
        self._engine = engine
        self._refused_folder = refused_folder

    def review(self, scan: str, label: Path, image: Path, tag: str) -> dict[str, Any]:
        """Review a label before it is stored; only final labels and region masks are looked at.

        Returns:
            For a final label `warnings`, lines for the annotator, and `voxels` per class.

        Raises:
            InputError: the label is refused; the message says why, what to do, and where the
                file is kept.
        """
        if tag == FINAL:
            review = review_label(label, image, self._task)
            if review.refused is not None:
                self._refuse(scan, label, review.refused)
            warnings = [_named(warning, label, scan) for warning in review.warnings]
            return {"warnings": warnings, "voxels": dict(review.voxels)}
        if tag == self._task.region:
            try:
                check_same_grid(read_scan(label), read_scan(image), where=f"region mask of {scan}")
            except InputError as error:
                self._refuse(scan, label, str(error))
        return {}

    def accept(self, scan: str, *, client: str | None, warnings: list[str]) -> None:
        """Record that a scan has its label; its lease ends and it is not served again."""
        mark_labelled(self._engine, scan, client=client, detail=" ".join(warnings) or None)

    def _refuse(self, scan: str, label: Path, reason: str) -> None:
        now = datetime.now(UTC)
        suffixes = "".join(label.suffixes[-2:])
        kept = self._refused_folder / f"{scan}-{now:%Y%m%dT%H%M%S%f}{suffixes}"
        with atomic_path(kept) as temporary:
            shutil.copyfile(label, temporary)
        reason = _named(reason, label, scan)
        logger.warning("Refused: %s (kept as %s)", reason, kept)
        with writing(self._engine) as connection:
            record_event(connection, "refused", time=now.timestamp(), scan=scan, detail=reason)
        raise InputError(f"{reason}. Nothing was replaced, and what you sent is kept on the server as {kept.name}.")


def _named(message: str, label: Path, scan: str) -> str:
    # The path of an upload means nothing to the annotator; the scan's name does.
    return message.replace(str(label), f"label of {scan}")
