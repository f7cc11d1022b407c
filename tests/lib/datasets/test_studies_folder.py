"""The scans of a folder as a source; what `read_studies` gives is tested with `prepare_studies` as well."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest

from lib.datasets.scan_source import ScanSource
from lib.datasets.studies_folder import FolderScans, read_studies
from lib.errors import InputError
from lib.task.task_file import task_from

TASK = task_from({"name": "one", "modality": "CT", "labels": {"lesion": 1}, "region": "organ"}, where="test")


def fill(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        (folder / name).touch()
        os.utime(folder / name, (1000 + number, 1000 + number))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(tmp_path, "a.nii.gz", "b.nii.gz", "c.NII.GZ", "d.nii")
    fill(tmp_path / "labels" / "final", "a.nii.gz", "c.NII")
    fill(tmp_path / "labels" / "organ", "b.nii.gz")
    return tmp_path


@pytest.fixture
def scans(folder: Path) -> ScanSource:
    return FolderScans(folder, TASK)


def test_names_are_those_of_the_scans(scans: ScanSource) -> None:
    assert scans.names().all == {"a", "b", "c", "d"}
    assert scans.names().labelled == {"a", "c"}
    assert scans.revision is None


def test_it_gives_what_read_studies_gives(scans: ScanSource, folder: Path) -> None:
    studies = read_studies(folder, TASK)
    assert tuple(scans.labelled()) == studies.labelled
    assert tuple(scans.unlabelled()) == studies.unlabelled
    assert [scan.region for scan in studies.unlabelled] == [folder / "labels" / "organ" / "b.nii.gz", None]


def test_what_is_there_at_this_moment_counts(scans: ScanSource, folder: Path) -> None:
    assert [name for name in "abcdx" if scans.is_unlabelled(name)] == ["b", "d"]
    fill(folder / "labels" / "final", "b.NRRD")
    (folder / "d.nii").unlink()
    assert [name for name in "abcdx" if scans.is_unlabelled(name)] == []


def test_the_region_is_that_of_the_tasks_tag(scans: ScanSource, folder: Path) -> None:
    assert scans.region("b") == folder / "labels" / "organ" / "b.nii.gz"
    assert scans.region("a") is None
    without = task_from({"name": "one", "modality": "CT", "labels": {"lesion": 1}}, where="test")
    assert FolderScans(folder, without).region("b") is None


def test_files_that_are_not_used_are_told_once(
    scans: ScanSource, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(folder, "a.nii", "a.nii.gz")
    fill(folder / "labels" / "final", "a.nrrd", "a.nii.gz", "gone.nii.gz")
    with caplog.at_level(logging.WARNING):
        scans.names()
        scans.labelled()
    assert sorted(caplog.messages) == [
        f"{folder}/a.nii: is not used: a.nii.gz has the same name and was written later",
        f"{folder}/labels/final/a.nrrd: is not used: a.nii.gz has the same name and was written later",
        f"{folder}/labels/final/gone.nii.gz: has no scan beside it and is not used",
    ]


def test_an_empty_folder_has_no_scans_and_a_missing_one_is_refused(tmp_path: Path) -> None:
    assert FolderScans(tmp_path, TASK).names().all == frozenset()
    with pytest.raises(InputError, match="no such folder"):
        FolderScans(tmp_path / "none", TASK).names()


def test_nothing_is_kept_of_a_heatmap(scans: ScanSource, folder: Path) -> None:
    class Prediction:
        heatmap = np.zeros((1, 2, 2, 2), np.float32)
        classes = ("lesion",)
        generation = "g"

    before = sorted(folder.rglob("*"))
    scans.keep_heatmap("b", Prediction())
    assert sorted(folder.rglob("*")) == before
