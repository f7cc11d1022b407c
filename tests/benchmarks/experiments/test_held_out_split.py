"""Test scans and the scans that may be labelled."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.experiments.held_out_split import split_scans
from lib.datasets.scans import LabelledScan
from lib.errors import InputError


def nameless(name: str, patient: str) -> LabelledScan:
    return LabelledScan(name, Path(f"{name}.nii.gz"), Path(f"{name}_label.nii.gz"), patient)


@given(st.lists(st.integers(0, 8), min_size=2, max_size=20), st.data())
def test_no_patient_is_both_tested_and_labelled(patients: list[int], data: st.DataObject) -> None:
    scans = [nameless(f"scan_{index:02}", str(patient)) for index, patient in enumerate(patients)]
    test = data.draw(st.integers(1, len(scans) - 1))
    try:
        split = split_scans(scans, test)
    except InputError:
        # Only where the test scans' patients are all there are.
        assert len(set(patients)) <= test
        return
    assert len(split.test) == test
    tested = {scan.patient for scan in split.test}
    assert [scan for scan in scans if scan.patient not in tested] == list(split.pool)
    assert split_scans(scans, test) == split


@pytest.mark.parametrize("test", [-1, 0, 4, 9])
def test_a_split_leaves_scans_of_both_kinds(test: int) -> None:
    with pytest.raises(InputError, match=rf"--test is {test}, of 4 labelled scans"):
        split_scans([nameless(name, name) for name in "abcd"], test)
