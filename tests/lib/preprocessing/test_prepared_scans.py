import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lib.datasets.scans import LabelledScan, digest_labelled_scan, read_labelled_scan
from lib.errors import InputError, StorageError
from lib.images.files import read_label, read_scan, write_volume
from lib.images.region import read_region
from lib.images.volume import Volume
from lib.preprocessing.prepared_scans import PreparedScan, prepare_scan, remove_unused_scans
from lib.preprocessing.preprocessor import Preprocessor
from lib.simulation.phantoms import PhantomFiles
from lib.task.task import Task
from tests.tiny_training import a_plan, a_task, full_disk, labelled, tree


@pytest.fixture
def scan(phantoms: list[PhantomFiles]) -> LabelledScan:
    return labelled(phantoms[:1])[0]


@pytest.fixture
def with_region(phantoms: list[PhantomFiles]) -> LabelledScan:
    return labelled(phantoms[:1], region=True)[0]


def prepare(scan: LabelledScan, folder: Path, *, task: Task | None = None, **plan: object) -> PreparedScan:
    return prepare_scan(
        scan, task=task or a_task(), plan=a_plan(**plan), digest=digest_labelled_scan(scan), folder=folder
    )


def relabelled(scan: LabelledScan, path: Path, change: np.ndarray | int) -> LabelledScan:
    label = read_label(scan.label, values=[1])
    write_volume(path, Volume((label.array * 0 + change).astype(np.uint8), label.affine))
    return replace(scan, label=path)


def test_arrays_are_those_of_the_preprocessing(tmp_path: Path, with_region: LabelledScan) -> None:
    made = prepare(with_region, tmp_path)
    image = read_scan(with_region.image)
    preprocessing = Preprocessor(a_plan())
    expected = preprocessing.apply_to_scan(image)
    np.testing.assert_array_equal(made.image, expected[0].numpy())
    label = read_label(with_region.label, values=[1])
    np.testing.assert_array_equal(made.label, preprocessing.apply_to_label(label, like=expected).numpy())
    assert with_region.region is not None
    region = read_region(with_region.region, image)
    np.testing.assert_array_equal(made.region, preprocessing.apply_to_region(region, like=expected).numpy())
    assert (made.image.dtype, made.label.dtype, made.region.dtype) == (np.float32, np.uint8, np.bool_)
    assert (made.name, made.patient) == (with_region.name, with_region.patient)


def test_label_values_become_class_indices(tmp_path: Path, scan: LabelledScan) -> None:
    task = a_task(labels={"other": 3, "lesion": 7}, w_dsc=[0, 0])
    lesion = read_label(scan.label, values=[1]).array
    made = prepare(relabelled(scan, tmp_path / "label.nii.gz", lesion * 7), tmp_path / "prepared", task=task)
    assert set(np.unique(made.label)) == {0, 2}


def test_centres_are_all_foreground_voxels_inside_the_region(
    tmp_path: Path, scan: LabelledScan, with_region: LabelledScan
) -> None:
    made = prepare(scan, tmp_path)
    np.testing.assert_array_equal(made.centres, np.argwhere(made.label > 0))
    assert made.region is None
    everywhere = relabelled(with_region, tmp_path / "label.nii.gz", 1)
    made = prepare(everywhere, tmp_path / "prepared")
    assert made.region is not None
    assert 0 < made.region.sum() < made.region.size
    np.testing.assert_array_equal(made.centres, np.argwhere(made.region))


def test_a_scan_without_foreground_has_no_centres(tmp_path: Path, scan: LabelledScan) -> None:
    made = prepare(relabelled(scan, tmp_path / "label.nii.gz", 0), tmp_path / "prepared")
    assert made.centres.shape == (0, 3)


def test_of_many_foreground_voxels_ten_thousand_are_kept(tmp_path: Path, scan: LabelledScan) -> None:
    made = prepare(relabelled(scan, tmp_path / "label.nii.gz", 1), tmp_path / "prepared", spacing=(1.5, 1.5, 3))
    assert made.label.size == 48 * 48 * 20
    assert len(made.centres) == len(np.unique(made.centres, axis=0)) == 10_000
    assert made.centres.mean(axis=0) == pytest.approx((np.array(made.label.shape) - 1) / 2, rel=0.05)


def test_equal_content_is_prepared_once(tmp_path: Path, scan: LabelledScan) -> None:
    first = prepare(scan, tmp_path / "prepared")
    before = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    shutil.copy(scan.image, tmp_path / "renamed.nii.gz")
    os.utime(tmp_path / "renamed.nii.gz", (1, 1))
    again = prepare(replace(scan, name="renamed", image=tmp_path / "renamed.nii.gz"), tmp_path / "prepared")
    assert (again.folder, again.digest, again.name) == (first.folder, first.digest, "renamed")
    assert {path: path.stat().st_mtime_ns for path in again.folder.iterdir()} == before


def test_what_only_the_patches_depend_on_prepares_nothing_anew(tmp_path: Path, scan: LabelledScan) -> None:
    first = prepare(scan, tmp_path)
    assert prepare(scan, tmp_path, patch_size=(8, 8, 8), window_size=(8, 8, 8)).folder == first.folder
    assert prepare(scan, tmp_path, task=a_task(seed=1, solver="unconstrained")).folder == first.folder


def test_a_changed_label_region_plan_or_class_is_prepared_anew(tmp_path: Path, with_region: LabelledScan) -> None:
    assert with_region.region is not None
    region = read_scan(with_region.region)
    write_volume(tmp_path / "region.nii.gz", Volume(np.ones_like(region.array), region.affine))
    folder = tmp_path / "prepared"
    made = [
        prepare(with_region, folder),
        prepare(replace(with_region, region=None), folder),
        prepare(replace(with_region, region=tmp_path / "region.nii.gz"), folder),
        prepare(relabelled(with_region, tmp_path / "label.nii.gz", 1), folder),
        prepare(with_region, folder, spacing=(2, 2, 3)),
        prepare(with_region, folder, intensity={"kind": "fixed_window", "low": 0, "high": 200, "mean": 60, "sd": 9}),
        prepare(with_region, folder, task=a_task(labels={"tumour": 1})),
    ]
    assert len({scan.folder for scan in made}) == len(made) == len(list(folder.iterdir()))


def test_arrays_cannot_be_written_to(tmp_path: Path, scan: LabelledScan) -> None:
    with pytest.raises(ValueError, match="read-only"):
        prepare(scan, tmp_path).image[0, 0, 0] = 1


def test_a_broken_scan_leaves_nothing_behind(tmp_path: Path, scan: LabelledScan) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(scan.image.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"broken\.nii\.gz: cannot be read"):
        prepare(replace(scan, image=broken), tmp_path / "prepared")
    with pytest.raises(InputError, match="unknown class 9; the task knows 0, 1"):
        prepare(relabelled(scan, tmp_path / "label.nii.gz", 9), tmp_path / "prepared")
    assert not (tmp_path / "prepared").exists()


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, scan: LabelledScan) -> None:
    with full_disk(), pytest.raises(StorageError, match="free some space"):
        prepare(scan, tmp_path / "prepared")
    assert tree(tmp_path / "prepared") == {}
    assert prepare(scan, tmp_path / "prepared").image.size > 0


def test_every_value_above_zero_is_inside_a_region(tmp_path: Path, scan: LabelledScan) -> None:
    image = read_scan(scan.image)
    values = np.random.default_rng(0).choice([-1.0, 0.0, 0.5, 3.0], size=image.shape)
    write_volume(tmp_path / "region.nii.gz", Volume(values, image.affine))
    region = read_region(tmp_path / "region.nii.gz", image)
    assert region.array.dtype == np.bool_
    np.testing.assert_array_equal(region.array, values > 0)


def test_a_region_on_another_grid_is_refused(tmp_path: Path, with_region: LabelledScan) -> None:
    write_volume(tmp_path / "region.nii.gz", Volume(np.ones((5, 5, 5), np.uint8), np.eye(4)))
    wrong = replace(with_region, region=tmp_path / "region.nii.gz")
    with pytest.raises(InputError, match=r"region\.nii\.gz: .*\(5, 5, 5\), its scan \(48, 48, 20\)"):
        read_labelled_scan(wrong, a_task())


def test_scans_of_older_states_are_removed(tmp_path: Path, phantoms: list[PhantomFiles]) -> None:
    kept, gone = (prepare(scan, tmp_path) for scan in labelled(phantoms[:2]))
    remove_unused_scans(tmp_path, [kept])
    assert list(tmp_path.iterdir()) == [kept.folder]
    assert not gone.folder.exists()


def test_a_damaged_array_is_named_with_what_to_do(tmp_path: Path, scan: LabelledScan) -> None:
    prepared = prepare(scan, tmp_path)
    (prepared.folder / "image.npy").write_bytes(b"")
    with pytest.raises(InputError, match=r"image.npy: cannot be read .*; remove the folder .*, then train again"):
        _ = prepared.image
