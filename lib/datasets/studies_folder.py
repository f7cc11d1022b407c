"""Which scans and labels a MONAI Label studies folder holds."""

from dataclasses import dataclass
from pathlib import Path

from lib.datasets.image_names import _distinct, _newest
from lib.datasets.scans import LabelledScan, UnlabelledScan
from lib.errors import InputError
from lib.images.files import SUFFIXES
from lib.task.task import Task

LABELS = "labels/final"
"""Where MONAI Label keeps the labels that annotators submitted, inside the studies folder."""


@dataclass(frozen=True)
class Studies:
    """What a studies folder holds, each part in the order of the names.

    Attributes:
        labelled: scans with a label in `labels/final`.
        unlabelled: the other scans.
        labels_without_scan: labels whose scan is not there; they are not used.
    """

    labelled: tuple[LabelledScan, ...]
    unlabelled: tuple[UnlabelledScan, ...]
    labels_without_scan: tuple[Path, ...] = ()


def read_studies(folder: Path | str, task: Task) -> Studies:
    """List the scans of a MONAI Label studies folder: scans in its root, labels in `labels/final`.

    Hidden files are left out. Where a scan has labels in several file formats, the one written
    last counts, since a viewer that saves another format leaves the older file where it is.

    Args:
        folder: the studies folder.
        task: names the region tag and the patients.

    Raises:
        InputError: the folder is missing or holds no scan, or two files are the same scan.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a studies folder, with scans in it and labels in {LABELS}")
    images = _distinct(folder)
    if not images:
        raise InputError(f"{folder}: holds no scans; put {', '.join(SUFFIXES)} files into it, or run `prepare` first")
    labels = _newest(folder / LABELS)
    regions = _newest(folder / "labels" / task.region) if task.region else {}
    return Studies(
        labelled=tuple(
            LabelledScan(name, image, labels[name], task.patient(name), regions.get(name))
            for name, image in images.items()
            if name in labels
        ),
        unlabelled=tuple(
            UnlabelledScan(name, image, regions.get(name)) for name, image in images.items() if name not in labels
        ),
        labels_without_scan=tuple(path for name, path in labels.items() if name not in images),
    )


FINAL = "final"
"""Tag of the labels that annotators submitted."""
