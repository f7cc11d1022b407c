"""What happens to a label that an annotator submits: review, then the end of the lease."""

import logging
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine

from apps.calibrated_ensemble.annotator import annotator_of
from lib.datasets.label_tags import FINAL
from lib.dicom.segment_names import values_by_name
from lib.errors import InputError
from lib.images.files import SUFFIXES, read_label, read_scan, write_volume
from lib.images.region import read_region
from lib.storage.atomic import atomic_path
from lib.task.task import Task
from scoring.database.engine import record_event, writing
from scoring.database.scan_list import mark_labelled
from scoring.label_check import review_label

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReviewedLabel:
    """A label that may be stored.

    Attributes:
        file: what to store; another file than was sent when segments got the task's values.
        information: for a final label `warnings`, lines for the annotator, and `voxels` per class.
    """

    file: Path
    information: dict[str, Any] = field(default_factory=dict)


class LabelSubmission:
    """Reviews and records submitted labels.

    Args:
        task: names the classes and the region tag.
        engine: from `scoring.database.engine.open_database`.
        refused_folder: where refused labels are kept.
    """

    def __init__(self, task: Task, engine: Engine, refused_folder: Path):
        self._task = task
        self._engine = engine
        self._refused_folder = refused_folder

    def review(self, scan: str, label: Path, image: Path, tag: str, sent: Mapping[str, Any]) -> ReviewedLabel:
        """Review a label before it is stored; only final labels and region masks are looked at.

        Args:
            scan: name of the scan.
            label: the file that was sent.
            image: file of the scan.
            tag: under which it will be stored.
            sent: what the client sent beside the file, such as `label_info`.

        Raises:
            InputError: the label is refused; the message says why, what to do, and where the
                file is kept.
        """
        try:
            if not label.name.lower().endswith(SUFFIXES):
                raise InputError(f"{label}: is no {', '.join(SUFFIXES)} file; save the label as one of these")
            if tag == FINAL:
                return self._review_final(scan, label, image, sent.get("label_info"))
            if tag == self._task.region:
                read_region(label, read_scan(image))
        except InputError as error:
            raise self._refused(scan, label, str(error), sent) from error
        return ReviewedLabel(label)

    def accept(self, scan: str, *, client: str | None, warnings: list[str]) -> None:
        """Record that a scan has its label; its lease ends and it is not served again."""
        mark_labelled(self._engine, scan, client=client, detail=" ".join(warnings) or None)

    def _review_final(self, scan: str, label: Path, image: Path, label_info: Any) -> ReviewedLabel:
        file = self._with_task_values(label, label_info)
        review = review_label(file, image, self._task)
        if review.refused is not None:
            if file != label:
                file.unlink()
            raise InputError(_named(review.refused, file, scan))
        warnings = [_named(warning, file, scan) for warning in review.warnings]
        return ReviewedLabel(file, {"warnings": warnings, "voxels": dict(review.voxels)})

    def _with_task_values(self, label: Path, label_info: Any) -> Path:
        if not label_info:
            return label
        try:
            volume = read_label(label, values=range(1, 256))
        except InputError:
            return label  # the review says what is wrong with it
        present = np.unique(volume.array[volume.array > 0]).tolist()
        values = values_by_name(label_info, present=present, labels=self._task.labels)
        if not values:
            return label
        with tempfile.NamedTemporaryFile(prefix="calibrated-ensemble-", suffix=".nii.gz", delete=False) as file:
            path = Path(file.name)
        write_volume(path, replace(volume, array=replace_values(volume.array, values)))
        return path

    def keep(self, scan: str, label: Path, reason: str, sent: Mapping[str, Any]) -> Path:
        """Keep a label that could not be stored, and record why.

        Args:
            scan: name of the scan.
            label: the file that was sent.
            reason: one line for a person.
            sent: what the client sent beside the file.

        Returns:
            Where the label is kept.

        Raises:
            StorageError: it cannot be written, or the database cannot be used.
        """
        now = datetime.now(UTC)
        kept = self._refused_folder / f"{scan}-{now:%Y%m%dT%H%M%S%f}{''.join(label.suffixes[-2:])}"
        with atomic_path(kept) as temporary:
            shutil.copyfile(label, temporary)
        logger.warning("Refused: %s (kept as %s)", reason, kept)
        with writing(self._engine) as connection:
            client = annotator_of(sent)
            record_event(connection, "refused", time=now.timestamp(), scan=scan, client=client, detail=reason)
        return kept

    def _refused(self, scan: str, label: Path, reason: str, sent: Mapping[str, Any]) -> InputError:
        """Keep a refused label, and give the error that says so."""
        reason = _named(reason, label, scan)
        kept = self.keep(scan, label, reason, sent)
        return InputError(f"{reason}. Nothing was replaced, and what you sent is kept on the server as {kept.name}.")


def _named(message: str, label: Path, scan: str) -> str:
    # The path of an upload means nothing to the annotator; the scan's name does.
    return message.replace(str(label), f"label of {scan}")
