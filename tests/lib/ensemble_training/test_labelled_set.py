"""Labels that change while they are read."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lib.datasets.scans import LabelledScan
from lib.ensemble_training import labelled_set
from lib.ensemble_training.labelled_set import prepare_labelled_set
from lib.errors import BusyError
from lib.images.files import read_label, read_scan, write_volume
from lib.images.volume import Volume
from lib.models.workspace import Workspace
from lib.progress import silent
from tests.tiny_training import a_task

SCANS = 6


@pytest.fixture
def scans(balls: tuple[LabelledScan, ...], tmp_path: Path) -> list[LabelledScan]:
    """Scans whose labels may be changed."""
    return [
        replace(scan, label=Path(shutil.copy(scan.label, tmp_path / f"label_{number}.nii.gz")))
        for number, scan in enumerate(balls[:SCANS])
    ]


def after_the_first_pass(change: Callable[[], object]) -> Callable[..., None]:
    def progress(_stage: str, done: int, _total: int, **_: object) -> None:
        if done == SCANS:
            change()

    return progress


@pytest.mark.parametrize("gone", [True, False], ids=["gone", "corrected"])
def test_a_label_that_changes_meanwhile_is_left_out_and_named(
    scans: list[LabelledScan], tmp_path: Path, caplog: pytest.LogCaptureFixture, gone: bool
) -> None:
    changed, other = scans[0], scans[1]

    def change() -> None:
        changed.label.unlink()
        if not gone:
            changed.label.write_bytes(other.label.read_bytes())

    workspace = Workspace(tmp_path / "workspace")
    state = prepare_labelled_set(a_task(), scans, workspace, after_the_first_pass(change))
    assert {scan.name for scan in state.scans} == {scan.name for scan in scans[1:]}
    assert changed.patient not in state.fold_of_patient
    assert changed.label.name in state.left_out[changed.name]
    assert "Left out of training" in caplog.text
    # Nothing of it is kept under the digest of what it was before.
    assert len(list(workspace.prepared_scans.iterdir())) == SCANS - 1
    assert gone or len(prepare_labelled_set(a_task(), scans, workspace, silent).scans) == SCANS


def test_a_pattern_that_finds_no_patient_is_told(
    scans: list[LabelledScan], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = a_task(patient_pattern="^(TCGA-[0-9]+)")
    alone = [replace(scan, patient=scan.name) for scan in scans]
    prepare_labelled_set(task, alone, Workspace(tmp_path / "workspace"), silent)
    assert f"finds no patient in {SCANS} of {SCANS} names of scans, such as {scans[0].name}, " in caplog.text


def masked(scan: LabelledScan, folder: Path, mask: np.ndarray) -> LabelledScan:
    region = folder / f"{scan.name}_region.nii.gz"
    write_volume(region, Volume(mask.astype(np.uint8), read_scan(scan.image).affine))
    return replace(scan, region=region)


def test_a_scan_with_an_empty_region_mask_is_left_out_and_voxels_outside_a_mask_are_counted(
    scans: list[LabelledScan], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    label = read_label(scans[1].label, values=[1]).array
    half = np.zeros(label.shape, bool)
    half[: label.shape[0] // 2] = True
    scans[0] = masked(scans[0], tmp_path, np.zeros(label.shape))
    scans[1] = masked(scans[1], tmp_path, half)
    scans[2] = masked(scans[2], tmp_path, np.ones(label.shape))
    state = prepare_labelled_set(a_task(region="organ"), scans, Workspace(tmp_path / "workspace"), silent)
    assert state.left_out == {
        scans[
            0
        ].name: f"{scans[0].region}: the region mask marks no voxel; draw the region, or remove the mask so that "
        "the scan is used whole"
    }
    outside, labelled = (label > 0)[~half].sum(), (label > 0).sum()
    assert 0 < outside < labelled
    told = [line for line in caplog.messages if "lie outside" in line]
    assert told == [
        f"{scans[1].label}: {outside} of {labelled} labelled voxels lie outside the region mask {scans[1].region} "
        "and are not used; correct label or mask"
    ]


def test_where_too_few_are_left_the_training_says_why(scans: list[LabelledScan], tmp_path: Path) -> None:
    def change() -> None:
        for scan in scans[1:]:
            scan.label.unlink()

    with pytest.raises(BusyError, match=r"changed while they were read .*label_.* train again"):
        prepare_labelled_set(a_task(), scans, Workspace(tmp_path / "workspace"), after_the_first_pass(change))


@pytest.mark.parametrize("error", [MemoryError(), ZeroDivisionError("odd"), RuntimeError("from a decoder")])
@pytest.mark.parametrize("where", ["fingerprint_scan", "prepare_scan"])
def test_whatever_one_scan_raises_the_others_are_trained_on(
    scans: list[LabelledScan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, where: str
) -> None:
    function, calls = getattr(labelled_set, where), []

    def fail_once(*arguments: object, **options: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise error
        return function(*arguments, **options)

    monkeypatch.setattr(labelled_set, where, fail_once)
    state = prepare_labelled_set(a_task(), scans, Workspace(tmp_path / "workspace"), silent)
    assert [scan.name for scan in state.scans] == [scan.name for scan in scans if scan is not scans[1]]
    assert list(state.left_out) == [scans[1].name]
    assert "\n" not in state.left_out[scans[1].name]
