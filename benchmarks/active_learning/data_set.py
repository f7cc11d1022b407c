"""Which scans test the models, and which may be labelled."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.errors import InputError
from lib.studies import LabelledScan, files_by_name, name_scans
from lib.task import Task


@dataclass(frozen=True)
class DataSet:
    """Scans with their labels, each part in the order of the names; no patient is in both.

    Attributes:
        test: judge every model, and are never labelled.
        pool: may be labelled.
    """

    test: tuple[LabelledScan, ...]
    pool: tuple[LabelledScan, ...]


def read_data_set(images: Path, labels: Path, task: Task, *, test: int) -> DataSet:
    """Split the labelled scans of a Decathlon or nnU-Net style data set; equal folders give equal parts.

    Args:
        images: folder of scans.
        labels: folder of labels.
        task: names the patients.
        test: scans to hold out.

    Raises:
        InputError: a folder is missing or empty, no label matches a scan, too few scans, or a task
            with a region mask, which is not simulated.
    """
    if task.region is not None:
        raise InputError(f"task {task.name}: has the region mask {task.region}; give a task without one")
    label_files = files_by_name(labels)
    scans = name_scans(files_by_name(images), label_files, where=images)
    names = sorted(set(scans) & set(label_files))
    if not names:
        raise InputError(f"{labels}: no label matches a scan of {images}; a label is named as its scan")
    return split_scans([LabelledScan(name, scans[name], label_files[name], task.patient(name)) for name in names], test)


def split_scans(scans: Sequence[LabelledScan], test: int) -> DataSet:
    """Draw the test scans; the other scans of their patients are left out.

    Raises:
        InputError: `test` leaves nothing to test with or nothing to label.
    """
    drawn = np.random.default_rng(0).permutation(len(scans))[: max(test, 0)]
    held_out = tuple(scans[index] for index in sorted(drawn))
    patients = {scan.patient for scan in held_out}
    pool = tuple(scan for scan in scans if scan.patient not in patients)
    if not held_out or not pool:
        raise InputError(f"--test is {test}, of {len(scans)} labelled scans; give a number that leaves some of both")
    return DataSet(held_out, pool)
