"""Test scans and the scans that may be labelled."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.active_learning.data_set import read_data_set, split_scans
from lib.errors import InputError
from lib.studies import LabelledScan
from tests.lib.tiny_training import a_task


def nameless(name: str, patient: str) -> LabelledScan:
    return LabelledScan(name, Path(f"{name}.nii.gz"), Path(f"{name}_label.nii.gz"), patient)


@given(st.lists(st.integers(0, 8), min_size=2, max_size=20), st.data())
def test_no_patient_is_both_tested_and_labelled(patients: list[int], data: st.DataObject) -> None:
    scans = [nameless(f"scan_{index:02}", str(patient)) for index, patient in enumerate(patients)]
    test = data.draw(st.integers(1, len(scans) - 1))
    try:
        data_set = split_scans(scans, test)
    except InputError:
        # Only where the test scans' patients are all there are.
        assert len(set(patients)) <= test
        return
    assert len(data_set.test) == test
    tested = {scan.patient for scan in data_set.test}
    assert [scan for scan in scans if scan.patient not in tested] == list(data_set.pool)
    assert split_scans(scans, test) == data_set


@pytest.mark.parametrize("test", [-1, 0, 4, 9])
def test_a_split_leaves_scans_of_both_kinds(test: int) -> None:
    with pytest.raises(InputError, match=rf"--test is {test}, of 4 labelled scans"):
        split_scans([nameless(name, name) for name in "abcd"], test)


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / f"{name}.nii.gz").touch()
    return folder


def test_scans_without_label_are_left_out(tmp_path: Path) -> None:
    images = touch(tmp_path / "images", "a", "b", "c", "d")
    labels = touch(tmp_path / "labels", "a", "c", "d", "e")
    data_set = read_data_set(images, labels, a_task(), test=1)
    every = sorted((*data_set.test, *data_set.pool), key=lambda scan: scan.name)
    assert [(scan.name, scan.image, scan.label) for scan in every] == [
        (name, images / f"{name}.nii.gz", labels / f"{name}.nii.gz") for name in ("a", "c", "d")
    ]


def test_patients_are_those_of_the_task(tmp_path: Path) -> None:
    names = [f"{patient}_{visit}" for patient in "abc" for visit in "12"]
    images, labels = touch(tmp_path / "images", *names), touch(tmp_path / "labels", *names)
    data_set = read_data_set(images, labels, a_task(patient_pattern="^(.)"), test=1)
    assert len(data_set.pool) == 4
    assert data_set.test[0].patient not in {scan.patient for scan in data_set.pool}


def test_labels_of_other_scans_are_refused(tmp_path: Path) -> None:
    images, labels = touch(tmp_path / "images", "a"), touch(tmp_path / "labels", "b")
    with pytest.raises(InputError, match="no label matches a scan"):
        read_data_set(images, labels, a_task(), test=1)


def test_a_task_with_a_region_is_refused(tmp_path: Path) -> None:
    images, labels = touch(tmp_path / "images", "a"), touch(tmp_path / "labels", "a")
    with pytest.raises(InputError, match="has the region mask organ"):
        read_data_set(images, labels, a_task(region="organ"), test=1)
