"""Listing and counting the scans of a PACS, ours and MONAI Label's own datastore.

Run `python -m benchmarks.speed.pacs_listing` in the checkout, with Orthanc installed. A local Orthanc is
filled with series of one image (CT and MR in turn) and with segmentations, all of them headers
without pixels. Then `status()`, which the server asks for at nearly every request, is timed, and
the requests that reach the PACS are counted:

- ours, first time: nothing is known of any segmentation, so each header is fetched, once for ever;
- ours, later: with that knowledge, as a server that is started again has it;
- ours, next segmentation: after one more segmentation was stored by somebody else;
- stock: `DICOMWebDatastore` with its caches switched off, since they hide new labels for two hours.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from monailabel.datastore.dicom import DICOMwebClientX, DICOMWebDatastore
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, SegmentationStorage, generate_uid
from rich.console import Console
from rich.progress import track
from rich.table import Table

from apps.calibrated_ensemble.datastores.label_submission import LabelSubmission
from apps.calibrated_ensemble.datastores.pacs_studies import PacsStudies
from apps.calibrated_ensemble.demo.orthanc import find_orthanc, local_orthanc
from apps.calibrated_ensemble.pacs.client import PacsClient
from apps.calibrated_ensemble.settings import DEFAULT_PACS_FILTER
from lib.task.task_file import task_from
from scoring.database.engine import open_database

_TASK = {"name": "benchmark", "modality": "CT", "labels": {"lesion": 1}, "w_dsc": [0.0]}


def header(sop_class: str, name: str, *, modality: str, patient: int, study: str, series: str) -> Dataset:
    """Make an object without pixels; all UIDs follow from the names."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.is_little_endian, made.is_implicit_VR = True, False
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = UID(sop_class)
    made.SOPInstanceUID = generate_uid(entropy_srcs=[name])
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.StudyInstanceUID = generate_uid(entropy_srcs=[study])
    made.SeriesInstanceUID = generate_uid(entropy_srcs=[series])
    made.PatientID, made.PatientName, made.Modality = f"patient {patient}", "", modality
    made.StudyDate, made.InstanceNumber = "20260101", 1
    return made


def scan(number: int) -> Dataset:
    """Make the one image of a series; two series share a patient."""
    modality = ("CT", "MR")[number % 2]
    names = {"study": f"study {number}", "series": f"series {number}"}
    return header(CTImageStorage, f"image {number}", modality=modality, patient=number // 2, **names)


def segmentation(number: int) -> Dataset:
    """Make a segmentation of a scan."""
    names = {"study": f"study {number}", "series": f"segmentation {number}"}
    made = header(SegmentationStorage, f"segments {number}", modality="SEG", patient=number // 2, **names)
    made.ContentDate, made.ContentTime = "20260102", "101010"
    reference, segment = Dataset(), Dataset()
    reference.SeriesInstanceUID = scan(number).SeriesInstanceUID
    segment.SegmentNumber, segment.SegmentLabel = 1, "lesion"
    made.ReferencedSeriesSequence, made.SegmentSequence = [reference], [segment]
    return made


@contextmanager
def counted_requests() -> Iterator[list[str]]:
    """Give a list that fills with the addresses that are asked for."""
    asked: list[str] = []
    send = requests.Session.send

    def count(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        asked.append(str(request.url))
        return send(session, request, **options)

    requests.Session.send = count  # type: ignore[assignment, method-assign]
    try:
        yield asked
    finally:
        requests.Session.send = send  # type: ignore[method-assign]


def ours(url: str, folder: Path) -> PacsStudies:
    """Open our datastore as a server does at its start."""
    task = task_from(_TASK, where="benchmark")
    submission = LabelSubmission(
        task,
        open_database(folder / "database.sqlite"),
        refused_folder=folder / "refused_labels",
        versions_folder=folder / "label_versions",
    )
    return PacsStudies(
        url,
        DEFAULT_PACS_FILTER,
        folder=folder / "pacs",
        task=task,
        submission=submission,
        refresh_seconds=0,
        retry_unreadable=True,
    )


def stock_status(url: str, folder: Path) -> tuple[int, int]:
    """Numbers of scans and of labels as the stock datastore gives them, for the modality that it lists."""
    datastore = DICOMWebDatastore(
        client=DICOMwebClientX(url=url), search_filter={"Modality": "CT"}, cache_path=str(folder)
    )
    DICOMWebDatastore.list_images.cache.clear()
    DICOMWebDatastore.get_labeled_images.cache.clear()
    status = datastore.status()
    return status["total"], status["completed"]


def fill(url: str, *, scans: int, segmentations: int) -> None:
    """Store all headers."""
    client = PacsClient(url, DEFAULT_PACS_FILTER)
    objects = [scan(number) for number in range(scans)] + [segmentation(number) for number in range(segmentations)]
    for made in track(objects, "storing headers", console=Console(stderr=True)):
        client.store(made)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=2000)
    parser.add_argument("--segmentations", type=int, default=500)
    wanted = parser.parse_args()
    table = Table("datastore", "seconds", "requests", "scans", "labelled", title_justify="left")

    def measure(name: str, call: Any) -> None:
        with counted_requests() as asked:
            began = time.perf_counter()
            total, completed = call()
            table.add_row(name, f"{time.perf_counter() - began:.2f}", str(len(asked)), str(total), str(completed))

    def our_status() -> tuple[int, int]:
        status = ours(url, folder).status()
        return status["total"], status["completed"]

    with tempfile.TemporaryDirectory() as name, local_orthanc(Path(name) / "orthanc", find_orthanc()) as url:
        folder = Path(name)
        fill(url, scans=wanted.scans, segmentations=wanted.segmentations)
        measure("ours, first time", our_status)
        measure("ours, later", our_status)
        PacsClient(url, DEFAULT_PACS_FILTER).store(segmentation(wanted.segmentations))
        measure("ours, next segmentation", our_status)
        measure("stock, CT only", lambda: stock_status(url, folder / "stock"))
    Console().print(table)


if __name__ == "__main__":
    main()
