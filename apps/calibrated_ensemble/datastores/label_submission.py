"""What happens to a label that an annotator submits: review, then the end of the lease; what is not stored is kept."""

import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from monailabel.interfaces.exception import ImageNotFoundException
from sqlalchemy import Engine

from apps.calibrated_ensemble.annotator import annotator_of
from apps.calibrated_ensemble.datastores.kept_labels import REFUSED, KeptLabels, spare_folder
from apps.calibrated_ensemble.datastores.label_versions import LabelVersions
from lib.datasets.label_tags import FINAL
from lib.dicom.segment_names import values_by_name
from lib.errors import ConflictError, InputError, ProductError, StorageError
from lib.images.files import SUFFIXES, names_inside, read_grid, read_label, write_volume
from lib.images.region import read_region
from lib.images.volume import Volume
from lib.storage.disk import is_disk_full
from lib.task.class_names import replace_values
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
        information: for a final label `warnings`, lines for the annotator, `places` of those that have one, and
            `voxels` per class.
    """

    file: Path
    information: dict[str, Any] = field(default_factory=dict)


class LabelSubmission:
    """Reviews and records submitted labels.

    Args:
        task: names the classes and the region tag.
        engine: from `scoring.database.engine.open_database`.
        refused_folder: where refused labels are kept.
        versions_folder: where labels are kept that another one has replaced, or was submitted before.

    Attributes:
        refused: what was refused, as much of it as is kept.
        versions: decides which of two labels of a scan stands.
    """

    def __init__(self, task: Task, engine: Engine, *, refused_folder: Path, versions_folder: Path):
        self._task = task
        self._engine = engine
        self.refused = KeptLabels(refused_folder, bounds=REFUSED, spare=spare_folder())
        self.versions = LabelVersions(task, engine, KeptLabels(versions_folder, bounds=None))

    def review(
        self, scan: str, label: Path, image: Path, tag: str, sent: Mapping[str, Any], *, region: Path | None = None
    ) -> ReviewedLabel:
        """Review a label before it is stored; only final labels and region masks are looked at.

        Args:
            scan: name of the scan.
            label: the file that was sent.
            image: file of the scan.
            tag: under which it will be stored.
            sent: what the client sent beside the file, such as `label_info`.
            region: mask of the scan, when the task has one.

        Raises:
            InputError: the label is refused; the message says why and what to do.
        """
        try:
            if not label.name.lower().endswith(SUFFIXES):
                raise InputError(f"{label}: is no {', '.join(SUFFIXES)} file; save the label as one of these")
            if tag == FINAL:
                return self._review_final(scan, label, image, sent.get("label_info"), region)
            if tag == self._task.region:
                read_region(label, read_grid(image))
        except InputError as error:
            raise InputError(_named(str(error), label, scan)) from error
        return ReviewedLabel(label)

    @contextmanager
    def keeping(self, scan: str, label: Path, sent: Mapping[str, Any]) -> Iterator[None]:
        """Keep what was sent where the block raises, whatever it raises; the error then says so.

        Args:
            scan: name of the scan, as it was sent.
            label: the file that was sent.
            sent: what the client sent beside the file.

        Raises:
            ConflictError: of the block, which has kept the label itself.
            ProductError: the block raised this one, or something unforeseen.
            ImageNotFoundException: the block raised this one.
        """
        try:
            yield
        except ConflictError:
            raise
        except ImageNotFoundException as error:
            raise ImageNotFoundException(self._kept(scan, label, str(error.msg), sent)) from error
        except ProductError as error:
            raise type(error)(self._kept(scan, label, str(error), sent)) from error
        except Exception as error:
            logger.exception("The label of %r could not be stored", scan)
            reason = " ".join(str(error).split()) or "no reason is given"
            told = self._kept(scan, label, f"label of {scan}: could not be stored ({reason})", sent)
            raise (StorageError if is_disk_full(error) else ProductError)(told) from error

    def accept(self, scan: str, *, client: str | None, warnings: list[str]) -> None:
        """Record that a scan has its label; its lease ends and it is not served again."""
        mark_labelled(self._engine, scan, client=client, detail=" ".join(warnings) or None)

    def _review_final(self, scan: str, label: Path, image: Path, label_info: Any, region: Path | None) -> ReviewedLabel:
        file = self._with_task_values(label, image, label_info)
        review = review_label(file, image, self._task, region=region)
        if review.refused is not None:
            if file != label:
                file.unlink()
            raise InputError(_named(review.refused, file, scan))
        warnings = [_named(warning, file, scan) for warning in review.warnings]
        places = [doubt.described(review.affine) for doubt in review.doubts]
        return ReviewedLabel(file, {"warnings": warnings, "places": places, "voxels": dict(review.voxels)})

    def _with_task_values(self, label: Path, image: Path, label_info: Any) -> Path:
        """Give a file with the task's values: names inside the file count most, then those that came with it."""
        grid = read_grid(image)
        if names_inside(label):
            return _written(read_label(label, values=self._task.labels, scan=grid))
        if not label_info:
            return label
        try:
            volume = read_label(label, values=range(1, 256), scan=grid)
        except InputError:
            return label  # the review says what is wrong with it
        present = np.flatnonzero(np.bincount(volume.array.ravel(), minlength=256)[1:]) + 1
        values = values_by_name(label_info, present=present.tolist(), labels=self._task.labels)
        return _written(replace(volume, array=replace_values(volume.array, values))) if values else label

    def _kept(self, scan: str, label: Path, reason: str, sent: Mapping[str, Any]) -> str:
        """Keep a label that could not be stored and record why; gives the reason with where it is kept."""
        reason = _named(reason, label, scan).removesuffix(".")
        try:
            kept = self.refused.keep(scan, label)
        except (ProductError, OSError) as error:
            logger.exception("The label of %r could not be kept", scan)
            return f"{reason}. It could not be kept on the server either ({_named(str(error), label, scan)}): save it."
        logger.warning("Refused: %s (kept as %s)", reason, kept)
        try:
            with writing(self._engine) as connection:
                client = annotator_of(sent)
                record_event(connection, "refused", time=time.time(), scan=scan[:255], client=client, detail=reason)
        except Exception:  # the label is kept; that it is not in the history is told in the log
            logger.exception("That the label of %r was refused is not recorded", scan)
        return f"{reason}. What you sent is kept on the server as {kept.name}."


def _written(volume: Volume) -> Path:
    with tempfile.NamedTemporaryFile(prefix="calibrated-ensemble-", suffix=".nii.gz", delete=False) as file:
        path = Path(file.name)
    try:
        write_volume(path, volume)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _named(message: str, label: Path, scan: str) -> str:
    # The path of an upload means nothing to the annotator; the scan's name does.
    return message.replace(str(label), f"label of {scan}")
