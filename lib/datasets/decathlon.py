"""Scans and labels of a Decathlon or nnU-Net style data set, outside any studies folder."""

import logging
from dataclasses import dataclass
from pathlib import Path

from lib.datasets.image_names import NO_SCAN, files_by_name, name_scans
from lib.datasets.scans import LabelledScan, warn_of_patients
from lib.errors import InputError
from lib.task.task import Task

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataSet:
    """What a data set holds.

    Attributes:
        labelled: scans with a label, in the order of their names; at least one.
        unlabelled: how many scans have none.
    """

    labelled: tuple[LabelledScan, ...]
    unlabelled: int


def read_data_set(images: Path | str, labels: Path | str, task: Task, *, regions: Path | str | None = None) -> DataSet:
    """List the scans of a data set.

    Args:
        images: folder of scans.
        labels: folder of labels, named like the scans.
        task: names the patients.
        regions: folder of region masks, named like the labels.

    Raises:
        InputError: a folder is missing or empty, or no label matches a scan.
    """
    label_files = files_by_name(Path(labels))
    region_files = files_by_name(Path(regions)) if regions is not None else {}
    scans = name_scans(files_by_name(Path(images)), label_files, where=Path(images))
    names = sorted(set(scans) & set(label_files))
    if not names:
        example = next(iter(label_files.values()))
        raise InputError(f"{labels}: no label matches a scan of {images}; {example.name} should be named as its scan")
    for path in (path for files in (label_files, region_files) for name, path in files.items() if name not in scans):
        logger.warning("%s: %s", path, NO_SCAN)
    labelled = tuple(
        LabelledScan(name, scans[name], label_files[name], task.patient(name), region_files.get(name)) for name in names
    )
    warn_of_patients(labelled, task)
    return DataSet(labelled, len(scans) - len(names))
