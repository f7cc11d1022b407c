"""Local copies of what a PACS holds: scans and labels as NIfTI, without anything that names a patient."""

import json
import re
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from apps.calibrated_ensemble.pacs.client import PacsClient, Series
from lib.datasets.label_tags import check_tag
from lib.dicom.series import SeriesGrid, read_series
from lib.errors import InputError
from lib.images.files import write_volume
from lib.images.volume import Volume
from lib.storage.atomic import write_text
from lib.storage.locks import waiting_lock


class LocalFiles:
    """Scans that were downloaded, and labels by tag, each with what is known about it.

    Args:
        folder: where they are kept.
        client: downloads scans.
    """

    def __init__(self, folder: Path, client: PacsClient):
        self._folder = folder
        self._client = client
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def scan(self, series: Series) -> Path:
        """Give the file of a scan, downloaded when it is not there or the series has got more instances.

        Raises:
            UnreachableError: the PACS does not answer.
            InputError: the series is no volume; see `read_series`.
            StorageError: it cannot be written.
        """
        path = self._folder / "scans" / f"{series.uid}.nii.gz"
        with self._locks[series.uid]:
            if not path.exists() or series.instances not in (None, len(self._read_grid(series).sop_instance_uids)):
                self._download(series, path)
        return path

    def grid(self, series: Series) -> SeriesGrid:
        """Give the grid of a scan, which is downloaded for that.

        Raises:
            UnreachableError: the PACS does not answer.
            InputError: the series is no volume.
        """
        self.scan(series)
        return self._read_grid(series)

    @contextmanager
    def locked(self, scan: str) -> Iterator[None]:
        """Keep other threads and processes from storing a label of a scan.

        Raises:
            StorageError: the folder cannot be written to.
        """
        with waiting_lock(self._folder / "locks" / f"{scan}.lock"):
            yield

    def label(self, scan: str, tag: str) -> Path:
        """Path of a label, whether it is there or not.

        Raises:
            InputError: the tag is no name of a folder.
        """
        check_tag(tag)
        return self._folder / "labels" / tag / f"{scan}.nii.gz"

    def has_label(self, scan: str, tag: str) -> bool:
        """Whether there is a local copy of a label; names that no series can have are those of none."""
        return _is_uid(scan) and self.label(scan, tag).is_file()

    def labelled(self, tag: str) -> list[str]:
        """Names of the scans with a local label of a tag."""
        return sorted(path.name.removesuffix(".nii.gz") for path in self.label("", tag).parent.glob("[!.]*.nii.gz"))

    def tags(self) -> list[str]:
        """Tags of which there are local labels."""
        folder = self._folder / "labels"
        found = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
        return sorted(name for name in found if not name.startswith("."))

    def write_label(self, scan: str, tag: str, volume: Volume, information: dict[str, Any]) -> None:
        """Write a label and what is known about it.

        Raises:
            StorageError: the folder cannot be written to.
        """
        write_volume(self.label(scan, tag), volume)
        self.write_information(scan, tag, information)

    def write_information(self, scan: str, tag: str, information: dict[str, Any]) -> None:
        """Write what is known about a label.

        Raises:
            StorageError: the folder cannot be written to.
        """
        write_text(self._information_path(scan, tag), json.dumps(information, indent=1, default=str))

    def information(self, scan: str, tag: str) -> dict[str, Any]:
        """What is known about a label; empty when there is none."""
        if not _is_uid(scan):
            return {}
        try:
            return dict(json.loads(self._information_path(scan, tag).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}

    def remove_label(self, scan: str, tag: str) -> None:
        """Remove the local copy of a label, if there is one."""
        if not _is_uid(scan):
            return
        self._information_path(scan, tag).unlink(missing_ok=True)
        self.label(scan, tag).unlink(missing_ok=True)

    def _download(self, series: Series, path: Path) -> None:
        # DICOM files name the patient, so they stay no longer than the conversion takes.
        with tempfile.TemporaryDirectory(prefix="calibrated-ensemble-") as folder:
            volume, grid = read_series(self._client.download(series, Path(folder)))
        if not grid.frame_of_reference_uid:
            raise InputError(
                f"series {series.uid}: has no FrameOfReferenceUID, and no label can be stored beside it without one; "
                "send it with its frame of reference"
            )
        write_text(
            self._grid_path(series),
            json.dumps(
                {
                    "series_uid": grid.series_uid,
                    "frame_of_reference_uid": grid.frame_of_reference_uid,
                    "sop_instance_uids": grid.sop_instance_uids,
                    "shape": grid.shape,
                    "affine": grid.affine.tolist(),
                }
            ),
        )
        write_volume(path, Volume(_compact(volume.array), volume.affine))

    def _read_grid(self, series: Series) -> SeriesGrid:
        stored = json.loads(self._grid_path(series).read_text(encoding="utf-8"))
        columns, rows, slices = stored["shape"]
        return SeriesGrid(
            series_uid=stored["series_uid"],
            frame_of_reference_uid=stored["frame_of_reference_uid"],
            sop_instance_uids=tuple(stored["sop_instance_uids"]),
            shape=(columns, rows, slices),
            affine=np.asarray(stored["affine"], dtype=np.float64),
        )

    def _grid_path(self, series: Series) -> Path:
        return self._folder / "scans" / f"{series.uid}.json"

    def _information_path(self, scan: str, tag: str) -> Path:
        return self.label(scan, tag).with_name(f"{scan}.json")


def _is_uid(name: str) -> bool:
    return re.fullmatch(r"[0-9.]{1,64}", name) is not None and ".." not in name and name[0] != "."


def _compact(array: np.ndarray) -> np.ndarray:
    """Grey values as they are in nearly every series, 16-bit whole numbers, where that loses nothing."""
    whole = array.astype(np.int16)
    return whole if np.array_equal(whole, array) else array
