"""One scan with its label, or without."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.errors import InputError
from lib.images.files import read_label, read_scan
from lib.images.region import EMPTY, read_region
from lib.images.volume import Volume
from lib.storage.digest import digest_file, digest_settings, file_stamp
from lib.task.task import Task

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledScan:
    """A scan with its label.

    Attributes:
        name: name of the scan, without the image suffix.
        image: file of the scan.
        label: file of the label.
        patient: patient that the scan belongs to (see `Task.patient`).
        region: file of the region mask; None when the task names none or the scan has none.
    """

    name: str
    image: Path
    label: Path
    patient: str
    region: Path | None = None


@dataclass(frozen=True)
class UnlabelledScan:
    """A scan that waits for its label; the attributes are those of `LabelledScan`."""

    name: str
    image: Path
    region: Path | None = None

    @property
    def stamp(self) -> str:
        """What changes whenever a file of the scan was written, see `lib.storage.digest.file_stamp`."""
        return stamp_files(self.image, self.region)


def warn_of_patients(scans: Sequence[LabelledScan], task: Task) -> None:
    """Tell in the log which scans the task's pattern finds no patient for: each counts as a patient of its own."""
    unknown = [scan.name for scan in scans if scan.patient == scan.name and task.patient_in(scan.name) is None]
    if task.patient_pattern is not None and unknown:
        logger.warning(
            "patient_pattern %r finds no patient in %d of %d names of scans, such as %s: each of them counts as a "
            "patient, so that scans of one patient may be trained on and tested with; correct the pattern",
            task.patient_pattern,
            len(unknown),
            len(scans),
            ", ".join(unknown[:3]),
        )


def read_labelled_scan(scan: LabelledScan, task: Task) -> tuple[Volume, Volume, Volume | None]:
    """Read a scan, its label as the task's label values, and its region mask.

    Raises:
        InputError: a file is unreadable, the label does not fit, or the mask marks nothing; see `lib.images.files`.
    """
    image = read_scan(scan.image)
    label = read_label(scan.label, values=task.labels, scan=image)
    region = read_region(scan.region, image) if scan.region else None
    if region is not None and not region.array.any():
        raise InputError(f"{scan.region}: {EMPTY}")
    return image, label, region


def warn_of_voxels_outside(scan: LabelledScan, label: Volume, region: Volume | None) -> None:
    """Tell in the log how many labelled voxels lie outside the region mask, where they count for nothing."""
    outside = 0 if region is None else int(np.count_nonzero((label.array > 0) & ~(region.array > 0)))
    if outside:
        labelled = int(np.count_nonzero(label.array))
        logger.warning(
            "%s: %d of %d labelled voxels lie outside the region mask %s and are not used; correct label or mask",
            scan.label,
            outside,
            labelled,
            scan.region,
        )


def digest_labelled_scan(scan: LabelledScan) -> str:
    """Digest of everything a labelled scan consists of."""
    return digest_files(scan.image, scan.label, scan.region)


def digest_files(*files: Path | None) -> str:
    """Digest of the content of files, in this order; None stands for one that is not there.

    Raises:
        OSError: a file cannot be read.
    """
    return digest_settings([digest_file(path) if path else None for path in files])


def stamp_files(*files: Path | None) -> str:
    """What changes whenever one of the files was written, came or went, see `lib.storage.digest.file_stamp`."""
    return " ".join(file_stamp(path) if path else "-" for path in files)
