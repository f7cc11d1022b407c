"""A PACS with phantoms, and the server on it with a trained ensemble: all that an annotator's browser talks to."""

import itertools
import json
import shutil
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import requests
import SimpleITK as sitk  # noqa: N813
from pydicom import Dataset

from tests.apps.servers.running_orthanc import RunningOrthanc
from tests.apps.servers.running_server import RunningServer, wait_for
from tests.apps.viewer.phantom_series import GEOMETRIES, phantom_series

FIRST_UNLABELLED = 10


@dataclass(frozen=True)
class StoredSeries:
    """A series that the PACS has."""

    datasets: list[Dataset]

    @property
    def uid(self) -> str:
        return str(self.datasets[0].SeriesInstanceUID)

    @property
    def study(self) -> str:
        return str(self.datasets[0].StudyInstanceUID)

    @property
    def description(self) -> str:
        return str(self.datasets[0].SeriesDescription)


class AnnotationSite:
    """Starts everything; `stop` must be called at the end.

    Args:
        folder: for everything.
        trained: a workspace, which is copied.
        task: its task file.

    Attributes:
        by_geometry: one series for each of `GEOMETRIES`; a test that labels one makes its own instead.
    """

    def __init__(self, folder: Path, *, trained: Path, task: Path):
        workspace = folder / "workspace"
        shutil.copytree(trained, workspace)
        self._folder = folder
        self._conf = {"task": str(task), "workspace": str(workspace), "device": "cpu", "pacs_refresh_seconds": "1"}
        self._numbers = itertools.count(FIRST_UNLABELLED)
        self.orthanc = RunningOrthanc(folder / "orthanc")
        try:
            self.by_geometry = {name: self._store(name) for name in GEOMETRIES}
            self.server = self._start_server()
        except BaseException:
            self.orthanc.stop()
            raise
        self.url = self.server.url

    def stop(self) -> None:
        try:
            self.server.stop()
        finally:
            self.orthanc.stop()

    def new_series(self, geometry: str = "ascending") -> StoredSeries:
        """A series that no other test uses; waits until the server lists it."""
        series = self._store(geometry)
        wait_for(lambda: not self.is_labelled(series.uid), seconds=30, what="the server to list a new series")
        return series

    def start_server_again(self) -> None:
        """After a crash, at the same address."""
        self.server = self._start_server(self.server.port)

    def worklist(self, client: str = "") -> dict[str, Any]:
        answer = self.server.request("GET", "/worklist/", params={"client_id": client, "limit": 1000})
        answer.raise_for_status()
        return answer.json()

    def lease(self, uid: str, client: str) -> requests.Response:
        return self.server.request("POST", "/worklist/lease", params={"image": uid}, json={"client_id": client})

    def free_all(self) -> None:
        """End all leases."""
        for scan in self.worklist()["scans"]:
            if scan["leased_to"]:
                parameters = {"image": scan["id"], "client_id": scan["leased_to"]}
                self.server.request("DELETE", "/worklist/lease", params=parameters).raise_for_status()

    def prediction(self, uid: str) -> sitk.Image:
        """What the server predicts, asked for without the viewer."""
        return self._image(self._predict(uid))

    def submit_prediction(self, uid: str, client: str) -> None:
        """Submit what the server predicts as the label of an annotator, without the viewer."""
        query, form = {"image": uid, "tag": "final"}, {"params": json.dumps({"client_id": client})}
        files = {"label": ("label.nii.gz", self._predict(uid).content)}
        self.server.request("PUT", "/datastore/label", params=query, data=form, files=files).raise_for_status()

    def uncertain_places(self, uid: str) -> list[dict[str, Any]]:
        """The places of the heatmap's answer."""
        query = {"image": uid, "output": "json"}
        answer = self.server.request("POST", "/infer/heatmap", params=query, data={"params": "{}"})
        answer.raise_for_status()
        return answer.json()["uncertain_places"]

    def saved_label(self, uid: str) -> sitk.Image:
        """The label file that the server hands out."""
        return self._image(self.server.request("GET", "/datastore/label", params={"label": uid, "tag": "final"}))

    def is_labelled(self, uid: str) -> bool:
        return uid not in {scan["id"] for scan in self.worklist()["scans"]}

    def segmentations(self, uid: str) -> list[Dataset]:
        """The DICOM SEG that the PACS holds for a series."""
        found = []
        session, rest = self.orthanc.session, self.orthanc.rest
        query = {"Level": "Instance", "Query": {"Modality": "SEG"}}
        for instance in session.post(f"{rest}/tools/find", json=query, timeout=60).json():
            file = session.get(f"{rest}/instances/{instance}/file", timeout=60).content
            dataset = pydicom.dcmread(BytesIO(file))
            if dataset.ReferencedSeriesSequence[0].SeriesInstanceUID == uid:
                found.append(dataset)
        return found

    def _store(self, geometry: str) -> StoredSeries:
        series = StoredSeries(phantom_series(geometry, next(self._numbers)))
        self.orthanc.store(series.datasets)
        return series

    def _predict(self, uid: str) -> requests.Response:
        form = {"params": json.dumps({"result_extension": ".nii.gz", "result_dtype": "uint8"})}
        query = {"image": uid, "output": "image"}
        return self.server.request("POST", "/infer/calibrated_ensemble", params=query, data=form)

    def _image(self, answer: requests.Response) -> sitk.Image:
        answer.raise_for_status()
        suffix = ".nrrd" if answer.content.startswith(b"NRRD") else ".nii.gz"
        path = self._folder / f"answer{suffix}"
        path.write_bytes(answer.content)
        return sitk.ReadImage(str(path))

    def _start_server(self, port: int = 0) -> RunningServer:
        return RunningServer(self.orthanc.url, self._folder, self._conf, port=port)


def label_of_file(image: sitk.Image, series: StoredSeries) -> dict[str, np.ndarray]:
    """The label of each image by its SOPInstanceUID, found by where its pixels lie in the world."""
    array = sitk.GetArrayFromImage(image)
    seen = np.zeros(array.shape, bool)
    labels = {}
    for dataset in series.datasets:
        places = pixel_places(dataset)
        offsets = places - np.array(image.GetOrigin())
        steps = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
        indices = offsets @ np.linalg.inv(steps).T
        k = np.rint(indices).astype(int)
        assert np.abs(indices - k).max() < 0.01, "the label lies between the voxels of the scan"
        assert (k >= 0).all(), "the label does not cover the scan"
        where = k[..., 2], k[..., 1], k[..., 0]
        labels[str(dataset.SOPInstanceUID)] = array[where]
        seen[where] = True
    assert seen.all(), "the label is larger than the scan"
    return labels


def label_of_segmentation(segmentation: Dataset, series: StoredSeries, values: dict[str, int]) -> dict[str, np.ndarray]:
    """The same from a DICOM SEG, whose frames are found by their position; frames are never matched by number."""
    labels = {str(d.SOPInstanceUID): np.zeros((d.Rows, d.Columns), np.uint8) for d in series.datasets}
    names = {int(segment.SegmentNumber): str(segment.SegmentLabel) for segment in segmentation.SegmentSequence}
    frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    for frame, groups in zip(frames, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        orientation = (groups if "PlaneOrientationSequence" in groups else shared).PlaneOrientationSequence[0]
        (image,) = [
            dataset
            for dataset in series.datasets
            if np.allclose(np.array(dataset.ImagePositionPatient, float), position, atol=1e-3)
        ]
        assert np.allclose(
            np.array(orientation.ImageOrientationPatient, float),
            np.array(image.ImageOrientationPatient, float),
            atol=1e-5,
        )
        name = names[int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)]
        label = labels[str(image.SOPInstanceUID)]
        assert not (label[frame > 0]).any(), "segments overlap"
        label[frame > 0] = values[name]
    return labels


def pixel_places(dataset: Dataset) -> np.ndarray:
    """Where the pixels of an image lie, shape (rows, columns, 3), LPS millimetres."""
    orientation = np.array(dataset.ImageOrientationPatient, float)
    row_spacing, column_spacing = (float(value) for value in dataset.PixelSpacing)
    rows, columns = np.mgrid[: dataset.Rows, : dataset.Columns]
    return (
        np.array(dataset.ImagePositionPatient, float)
        + columns[..., None] * column_spacing * orientation[:3]
        + rows[..., None] * row_spacing * orientation[3:]
    )
