"""The fingerprint of the labelled scans."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.errors import InputError
from lib.images.volume import Volume
from lib.preprocessing.fingerprint import FOREGROUND_VALUES, Fingerprint, ScanFingerprint, fingerprint_scan
from lib.task.task import Task
from lib.task.task_file import task_from


def _task(modality: str = "CT") -> Task:
    return task_from({"name": "t", "modality": modality, "labels": {"a": 2, "b": 1}}, where="test")


def _scan(
    seed: int, shape: tuple[int, int, int] = (6, 7, 8), spacing: tuple[float, ...] = (1.0, 1.5, 4.0)
) -> tuple[Volume, Volume]:
    generator = np.random.default_rng(seed)
    affine = np.diag([*spacing, 1.0])
    grey = generator.normal(40, 15, shape).astype(np.float32)
    return Volume(grey, affine), Volume(generator.integers(0, 3, shape).astype(np.uint8), affine)


def _reordered(volume: Volume, axes: tuple[int, ...], flips: tuple[int, ...]) -> Volume:
    orientation = np.array([[axis, flip] for axis, flip in zip(axes, flips, strict=True)])
    change = nib.orientations.inv_ornt_aff(orientation, volume.shape)
    return Volume(nib.orientations.apply_orientation(volume.array, orientation), volume.affine @ change)


def test_volumes_are_counts_times_voxel_volume_in_the_order_of_the_classes() -> None:
    scan, label = _scan(0)
    found = fingerprint_scan(scan, label, _task())
    voxel = 1.0 * 1.5 * 4.0
    assert found.volumes == ((label.array == 2).sum() * voxel, (label.array == 1).sum() * voxel)


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, -1), (-1, -1, -1)])
def test_the_order_of_the_axes_in_the_file_does_not_matter(axes: tuple[int, ...], flips: tuple[int, ...]) -> None:
    scan, label = _scan(1)
    expected = fingerprint_scan(scan, label, _task())
    assert (expected.shape, expected.spacing) == ((6, 7, 8), (1.0, 1.5, 4.0))
    assert fingerprint_scan(_reordered(scan, axes, flips), _reordered(label, axes, flips), _task()) == expected


@given(order=st.permutations(range(5)))
@settings(deadline=None)
def test_the_order_of_the_scans_does_not_matter(order: list[int]) -> None:
    task = _task()
    scans = [
        fingerprint_scan(*_scan(seed, (5 + seed, 6, 9 - seed), (0.7 + 0.1 * seed, 1, 3)), task) for seed in range(5)
    ]
    merged = Fingerprint.merge([scans[i] for i in order], task)
    assert merged.model_dump_json() == Fingerprint.merge(scans, task).model_dump_json()


def test_foreground_figures_are_those_of_numpy_over_all_foreground_voxels() -> None:
    pairs = [_scan(seed, (12, 12, 12)) for seed in range(3)]
    values = np.concatenate([scan.array[label.array > 0] for scan, label in pairs]).astype(np.float64)
    low, high = np.percentile(values, [0.5, 99.5])
    found = Fingerprint.merge((fingerprint_scan(*pair, _task()) for pair in pairs), _task()).foreground
    assert found is not None
    np.testing.assert_allclose(
        [found.low, found.high, found.mean, found.sd],
        [low, high, np.clip(values, low, high).mean(), np.clip(values, low, high).std()],
        rtol=1e-5,
    )


def test_a_large_foreground_is_thinned_without_moving_its_percentiles() -> None:
    generator = np.random.default_rng(0)
    grey = generator.gamma(2.0, 30.0, (60, 60, 60)).astype(np.float32)
    label = np.ones(grey.shape, dtype=np.uint8)
    scan = fingerprint_scan(Volume(grey, np.eye(4)), Volume(label, np.eye(4)), _task())
    assert len(scan.foreground) == FOREGROUND_VALUES
    found = Fingerprint.merge([scan], _task()).foreground
    assert found is not None
    low, high = np.percentile(grey, [0.5, 99.5])
    np.testing.assert_allclose([found.low, found.high], [low, high], rtol=2e-3)
    np.testing.assert_allclose([found.mean, found.sd], [np.clip(grey, low, high).mean(), grey.std()], rtol=3e-2)


def test_medians_and_largest_extents_are_taken_axis_by_axis() -> None:
    task = _task()
    scans = [
        fingerprint_scan(*_scan(0, (10, 20, 5), (1, 1, 6)), task),
        fingerprint_scan(*_scan(1, (12, 18, 7), (1, 2, 8)), task),
        fingerprint_scan(*_scan(2, (14, 16, 3), (1, 1.5, 7)), task),
    ]
    merged = Fingerprint.merge(scans, task)
    assert merged.median_spacing == (1, 1.5, 7)
    assert merged.median_extent == (11, 22.5, 24)
    assert merged.largest_extent == (13, 34, 48)
    assert merged.scan_count == 3


def test_typical_volume_leaves_out_scans_without_the_class() -> None:
    def scan(*volumes: float) -> ScanFingerprint:
        return ScanFingerprint(shape=(4, 4, 4), spacing=(1, 1, 1), volumes=volumes, foreground=(1.0,))

    merged = Fingerprint.merge([scan(10, 0), scan(0, 0), scan(30, 0)], _task())
    assert merged.typical_volumes == (20.0, 0.0)


def test_an_empty_label_counts_as_a_scan_without_foreground() -> None:
    scan, label = _scan(0)
    empty = fingerprint_scan(scan, Volume(np.zeros_like(label.array), label.affine), _task())
    assert empty.volumes == (0, 0)
    assert Fingerprint.merge([empty], _task()).foreground is None
    both = Fingerprint.merge([empty, fingerprint_scan(scan, label, _task())], _task())
    assert both.foreground == Fingerprint.merge([fingerprint_scan(scan, label, _task())], _task()).foreground


def test_a_constant_foreground_has_no_spread() -> None:
    scan, label = _scan(0)
    constant = fingerprint_scan(Volume(np.full_like(scan.array, 0.1), scan.affine), label, _task())
    found = Fingerprint.merge([constant], _task()).foreground
    assert found is not None
    assert found.sd == 0.0
    assert found.low == found.high == found.mean


def test_no_labelled_scans_is_an_input_error() -> None:
    with pytest.raises(InputError, match="no labelled scans"):
        Fingerprint.merge([], _task())


def test_json_keeps_everything() -> None:
    task = _task()
    scan = fingerprint_scan(*_scan(3), task)
    merged = Fingerprint.merge([scan], task)
    assert ScanFingerprint.model_validate_json(scan.model_dump_json()) == scan
    assert Fingerprint.model_validate_json(merged.model_dump_json()) == merged
