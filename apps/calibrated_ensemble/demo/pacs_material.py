"""What `demo-ohif` puts into a PACS: made-up CT series, some with their label, and DICOM files of the user's."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from monailabel.interfaces.datastore import Datastore
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from apps.calibrated_ensemble.pacs.client import PacsClient
from apps.calibrated_ensemble.reports.class_colours import label_colours
from lib.dicom.segmentation_writer import segmentation_dataset
from lib.dicom.series_writer import series_datasets
from lib.errors import InputError
from lib.progress import Progress, silent
from lib.simulation.phantoms import make_phantom
from lib.task.task import Task

LABELLED, UNLABELLED = 12, 8
"""Number of phantoms with and without a label."""

_ENTROPY = "calibrated-ensemble demo"


@dataclass(frozen=True)
class StoredFiles:
    """What became of the files of a folder.

    Attributes:
        series: number of series that were stored.
        instances: number of instances that were stored.
        left_out: files that are no DICOM instances.
    """

    series: int
    instances: int
    left_out: tuple[Path, ...]


def store_phantoms(pacs: PacsClient, datastore: Datastore, task: Task, *, progress: Progress = silent) -> None:
    """Store the phantoms, each a patient of its own, and the labels of the first; what is there already is left alone.

    Args:
        pacs: where to.
        datastore: of the same PACS.
        task: its first class is the lesion.
        progress: stage "storing", series.

    Raises:
        InputError: the PACS holds other scans and none of these, so that it may be a real one; or
            it does not take a series.
        UnreachableError: it does not answer.
    """
    known = {series.uid: series.instances for series in pacs.series()}
    phantoms = list(_phantoms())
    if known and not any(headers[0].SeriesInstanceUID in known for headers, _ in phantoms):
        raise InputError(
            f"{pacs.url}: holds {len(known)} scans that are not the demo's; the demo stores made-up patients, so give "
            "a PACS for tests that is empty, or annotate the scans of this one with `serve`"
        )
    missing = [headers for headers, _ in phantoms if known.get(headers[0].SeriesInstanceUID) != len(headers)]
    for number, headers in enumerate(missing, 1):
        for header in headers:
            pacs.store(header)
        progress("storing", number, len(missing))
    datastore.refresh()
    labelled = set(datastore.get_labeled_images())
    for headers, label in phantoms[:LABELLED]:
        if headers[0].SeriesInstanceUID not in labelled:
            pacs.store(
                segmentation_dataset(
                    label * np.uint8(task.labels[task.classes[0]]),
                    headers,
                    labels=task.labels,
                    colours=label_colours(task),
                )
            )
    datastore.refresh()


def store_folder(pacs: PacsClient, folder: Path, *, progress: Progress = silent) -> StoredFiles:
    """Store all DICOM instances in a folder and the folders in it.

    Args:
        pacs: where to.
        folder: of DICOM files, whatever their names are.
        progress: stage "storing", files.

    Raises:
        InputError: there is no such folder, it holds no DICOM file, or the PACS does not take one.
        UnreachableError: the PACS does not answer.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a folder of DICOM files")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    series, left_out = [], []
    for number, path in enumerate(files, 1):
        instance = _read_instance(path)
        if instance is None:
            left_out.append(path)
        else:
            pacs.store(instance)
            series.append(instance.SeriesInstanceUID)
        progress("storing", number, len(files))
    if not series:
        raise InputError(f"{folder}: holds no DICOM files ({len(files)} others); give a folder of DICOM files")
    return StoredFiles(len(set(series)), len(series), tuple(left_out))


def _phantoms() -> Iterator[tuple[list[Dataset], np.ndarray]]:
    """The images of each series, and its label (uint8, 1 lesion)."""
    for index in range(LABELLED + UNLABELLED):
        phantom = make_phantom(index, orientation="LPS")
        headers = series_datasets(
            phantom.scan,
            modality="CT",
            patient_id=phantom.name,
            patient_name=f"Phantom^{index}",
            description=f"Phantom {index}",
            entropy=_ENTROPY,
        )
        yield headers, phantom.label.array


def _read_instance(path: Path) -> Dataset | None:
    """A DICOM instance; None for any other file, such as the DICOMDIR that lists a medium's instances."""
    try:
        dataset = dcmread(path)
    except InvalidDicomError:
        return None
    return dataset if "SOPInstanceUID" in dataset and "SeriesInstanceUID" in dataset else None
