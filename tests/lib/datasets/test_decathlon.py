"""Scans and labels of public data sets."""

from pathlib import Path

import pytest

from lib.datasets.decathlon import read_data_set
from lib.errors import InputError
from tests.tiny_training import a_task


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / f"{name}.nii.gz").touch()
    return folder


def test_scans_without_label_are_counted_only(tmp_path: Path) -> None:
    images = touch(tmp_path / "images", "a", "b", "c", "d")
    labels = touch(tmp_path / "labels", "a", "c", "d", "e")
    regions = touch(tmp_path / "regions", "c")
    data_set = read_data_set(images, labels, a_task(), regions=regions)
    assert [(scan.name, scan.image, scan.label) for scan in data_set.labelled] == [
        (name, images / f"{name}.nii.gz", labels / f"{name}.nii.gz") for name in ("a", "c", "d")
    ]
    assert [scan.region for scan in data_set.labelled] == [None, regions / "c.nii.gz", None]
    assert data_set.unlabelled == 1


def test_patients_are_those_of_the_task(tmp_path: Path) -> None:
    names = [f"{patient}_{visit}" for patient in "abc" for visit in "12"]
    images, labels = touch(tmp_path / "images", *names), touch(tmp_path / "labels", *names)
    data_set = read_data_set(images, labels, a_task(patient_pattern="^(.)"))
    assert [scan.patient for scan in data_set.labelled] == list("aabbcc")


def test_a_pattern_that_finds_no_patient_is_told_with_the_scans_it_fails_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("P1_a", "P1_b", "scan_c")
    images, labels = touch(tmp_path / "images", *names), touch(tmp_path / "labels", *names)
    read_data_set(images, labels, a_task(patient_pattern="^(.+)$"))
    read_data_set(images, labels, a_task())
    assert caplog.messages == []
    data_set = read_data_set(images, labels, a_task(patient_pattern="^(?:(P[0-9])_)?"))
    assert [scan.patient for scan in data_set.labelled] == ["P1", "P1", "scan_c"]
    (told,) = caplog.messages
    assert "finds no patient in 1 of 3 names of scans, such as scan_c" in told
    read_data_set(images, labels, a_task(patient_pattern="^(TCGA-[0-9]+)"))
    assert (
        "'^(TCGA-[0-9]+)' finds no patient in 3 of 3 names of scans, such as P1_a, P1_b, scan_c" in caplog.messages[-1]
    )


def test_a_label_or_mask_without_a_scan_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images, labels = touch(tmp_path / "images", "a"), touch(tmp_path / "labels", "a", "A")
    regions = touch(tmp_path / "regions", "b")
    read_data_set(images, labels, a_task(), regions=regions)
    assert caplog.messages == [
        f"{path}: has no scan beside it and is not used" for path in (labels / "A.nii.gz", regions / "b.nii.gz")
    ]


def test_labels_of_other_scans_are_refused(tmp_path: Path) -> None:
    images, labels = touch(tmp_path / "images", "a"), touch(tmp_path / "labels", "b")
    with pytest.raises(InputError, match="no label matches a scan"):
        read_data_set(images, labels, a_task())
