"""Preprocessor and the way back, checked in world coordinates."""

import itertools
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lib.errors import InputError
from lib.images.files import read_label, read_scan
from lib.images.volume import Volume
from lib.preprocessing.intensity import normalised
from lib.preprocessing.plan import FixedWindow, PerScan, Plan
from lib.preprocessing.preprocessor import Preprocessor
from lib.preprocessing.resampling import resampled_grid

_DATA = Path(os.environ.get("CALIBRATED_ENSEMBLE_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))

AXIS_ORDERS = [
    (axes, flips) for axes in itertools.permutations(range(3)) for flips in itertools.product((1, -1), repeat=3)
]
"""All 48 ways to store a volume."""

_BLOB_CENTRE = np.array([9.0, -14.0, 31.0])
_BLOB_RADIUS = 9.0


def _plan(spacing: tuple[float, float, float] = (1, 1, 1), *, fixed: FixedWindow | None = None) -> Plan:
    return Plan(
        spacing=spacing,
        intensity=fixed or PerScan(),
        shape_factor=(8, 8, 8),
        patch_size=(32, 32, 32),
        window_size=(32, 32, 32),
    )


def _world(volume_shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    voxels = np.stack(np.meshgrid(*(np.arange(n) for n in volume_shape), indexing="ij"), axis=-1)
    return voxels @ affine[:3, :3].T + affine[:3, 3]


def _affine(
    axes: tuple[int, ...], flips: tuple[int, ...], spacing: tuple[float, ...], shape: tuple[int, ...]
) -> np.ndarray:
    """Affine whose array axis i runs along world axis axes[i], with the blob's centre in the middle."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, flip) in enumerate(zip(axes, flips, strict=True)):
        affine[world, axis] = flip * spacing[axis]
    affine[:3, 3] = _BLOB_CENTRE - affine[:3, :3] @ ((np.array(shape) - 1) / 2) + (1.3, -0.8, 0.4)
    return affine


def _blob(shape: tuple[int, int, int], affine: np.ndarray) -> Volume:
    """Smooth ball, 0.5 at its surface, that looks the same on every grid."""
    distance = np.linalg.norm(_world(shape, affine) - _BLOB_CENTRE, axis=-1)
    return Volume((1 / (1 + np.exp(distance - _BLOB_RADIUS))).astype(np.float32), affine)


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def _centre(weights: np.ndarray, affine: np.ndarray) -> np.ndarray:
    return np.average(_world(weights.shape, affine).reshape(-1, 3), axis=0, weights=weights.ravel())


@pytest.mark.parametrize(("axes", "flips"), AXIS_ORDERS)
def test_a_blob_keeps_its_place_in_the_world_for_every_axis_order(
    axes: tuple[int, ...], flips: tuple[int, ...]
) -> None:
    shape = (30, 26, 13)
    spacing = (1.0, 1.2, 2.5)
    volume = _blob(shape, _affine(axes, flips, spacing, shape))
    preprocessing = Preprocessor(_plan((1.1, 1.0, 1.4)))
    scan = preprocessing.apply_to_scan(volume)
    assert nib.aff2axcodes(scan.affine.numpy()) == ("R", "A", "S")
    mask = (scan[0] > (scan.max() + scan.min()) / 2).numpy()
    np.testing.assert_allclose(_centre(mask.astype(float), scan.affine.numpy()), _BLOB_CENTRE, atol=0.15)
    # A prediction made in the preprocessed world, from coordinates alone, lands where the blob is.
    predicted = _blob(tuple(scan.shape[1:]), scan.affine.numpy()).array[None]
    back = preprocessing.inverse(predicted, scan)
    assert back.shape == (1, *shape)
    np.testing.assert_allclose(back[0], volume.array, atol=0.09)
    np.testing.assert_allclose(_centre(back[0], volume.affine), _centre(volume.array, volume.affine), atol=0.05)
    assert _dice(back[0] > 0.5, volume.array > 0.5) > 0.97


@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
    spacing=st.tuples(*[st.floats(0.4, 7.0)] * 3),
    target=st.tuples(*[st.floats(0.4, 7.0)] * 3),
    flip=st.sampled_from([1, -1]),
)
@settings(max_examples=60, deadline=None)
def test_oblique_scans_return_to_their_own_voxels(
    angles: tuple[float, ...],
    shape: tuple[int, int, int],
    spacing: tuple[float, ...],
    target: tuple[float, float, float],
    flip: int,
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag(spacing)
    affine[:3, 0] *= flip
    affine[:3, 3] = (100, -50, 7)
    # A linear function of the world survives linear resampling exactly, but at padded borders.
    world = _world(shape, affine)
    volume = Volume(world @ np.array([0.3, -0.2, 0.5]), affine)
    preprocessing = Preprocessor(_plan(target, fixed=FixedWindow(low=-1e6, high=1e6, mean=0, sd=1)))
    scan = preprocessing.apply_to_scan(volume)
    assert nib.io_orientation(scan.affine.numpy()).tolist() == [[0, 1], [1, 1], [2, 1]]
    linear = (_world(tuple(scan.shape[1:]), scan.affine.numpy()) @ np.array([0.3, -0.2, 0.5]))[None]
    back = preprocessing.inverse(linear, scan)
    assert back.shape == (1, *shape)
    assert np.isfinite(back).all()
    # Half of what rounding the number of voxels leaves over is padded: a quarter of a target voxel each way.
    margin = 0.25 * np.abs(scan.affine.numpy()[:3, :3].T @ np.array([0.3, -0.2, 0.5])).sum()
    np.testing.assert_allclose(back[0], volume.array, atol=margin + 1e-3)


@pytest.mark.parametrize(("axes", "flips"), AXIS_ORDERS)
def test_without_resampling_the_round_trip_is_exact_bit_for_bit(axes: tuple[int, ...], flips: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    shape = (5, 7, 4)
    affine = _affine(axes, flips, (1.0, 1.0 + 5e-3, 1.0 - 1e-6), shape)
    volume = Volume(generator.normal(size=shape).astype(np.float32), affine)
    label = Volume(generator.integers(0, 3, shape).astype(np.uint8), affine)
    preprocessing = Preprocessor(_plan())
    scan = preprocessing.apply_to_scan(volume)
    np.testing.assert_array_equal(
        preprocessing.inverse(scan, scan)[0], normalised(volume.array, PerScan()), strict=True
    )
    indices = preprocessing.apply_to_label(label, scan)
    assert indices.dtype == torch.uint8
    np.testing.assert_array_equal(preprocessing.inverse(indices[None], scan, nearest=True)[0], label.array)


def test_preprocessed_voxels_are_the_stored_ones_at_the_same_place() -> None:
    shape = (4, 5, 6)
    affine = _affine((1, 2, 0), (-1, 1, -1), (1, 1, 1), shape)
    array = np.arange(120, dtype=np.float32).reshape(shape)
    preprocessing = Preprocessor(_plan(fixed=FixedWindow(low=0, high=200, mean=0, sd=1)))
    scan = preprocessing.apply_to_scan(Volume(array, affine))
    assert tuple(scan.shape) == (1, 6, 4, 5)
    for value, place in zip(
        scan.flatten().tolist(), _world((6, 4, 5), scan.affine.numpy()).reshape(-1, 3), strict=True
    ):
        voxel = np.linalg.solve(affine, [*place, 1])[:3]
        np.testing.assert_allclose(voxel, np.unravel_index(int(value), shape), atol=1e-9)


@pytest.mark.parametrize("target", [(1.5, 1.5, 1.5), (0.8, 0.8, 5.0), (2.2, 1.0, 0.7)])
def test_a_resampled_label_returns_with_a_dice_above_095(target: tuple[float, float, float]) -> None:
    shape = (40, 36, 20)
    volume = _blob(shape, _affine((0, 2, 1), (-1, 1, 1), (1.0, 1.0, 2.0), shape))
    label = Volume((volume.array > 0.5).astype(np.uint8) * 2, volume.affine)
    preprocessing = Preprocessor(_plan(target))
    scan = preprocessing.apply_to_scan(volume)
    indices = preprocessing.apply_to_label(label, scan)
    assert tuple(indices.shape) == tuple(scan.shape[1:])
    assert set(indices.unique().tolist()) == {0, 2}
    # Thick target slices cannot hold a ball of 9 mm better than this as nearest neighbours.
    nearest = preprocessing.inverse(indices[None], scan, nearest=True)[0]
    assert set(np.unique(nearest)) == {0, 2}
    assert _dice(nearest == 2, label.array == 2) > (0.85 if max(target) > 3 else 0.95)
    smooth = preprocessing.inverse(_blob(tuple(scan.shape[1:]), scan.affine.numpy()).array[None], scan)[0]
    assert _dice(smooth > 0.5, label.array == 2) > 0.95


@pytest.mark.parametrize("slices", [1, 2, 3])
@pytest.mark.parametrize(
    ("target", "correlation"), [((1.88, 1.88, 6.5), 0.95), ((1.0, 1.0, 1.0), 0.95), ((3.0, 3.0, 20.0), 0.6)]
)
@pytest.mark.parametrize(("axes", "flips"), [((0, 1, 2), (1, 1, 1)), ((1, 2, 0), (1, -1, -1))])
def test_a_stack_of_few_slices_goes_there_and_back(
    slices: int,
    target: tuple[float, float, float],
    correlation: float,
    axes: tuple[int, ...],
    flips: tuple[int, ...],
) -> None:
    shape = (30, 30, slices)
    volume = _blob(shape, _affine(axes, flips, (1.88, 1.88, 7.5), shape))
    preprocessing = Preprocessor(_plan(target))
    scan = preprocessing.apply_to_scan(volume)
    assert min(scan.shape) >= 1
    assert torch.isfinite(scan).all()
    back = preprocessing.inverse(scan, scan)
    assert back.shape == (1, *shape)
    assert np.corrcoef(back.ravel(), volume.array.ravel())[0, 1] > correlation


def test_inverted_probabilities_stay_between_0_and_1_for_every_class() -> None:
    shape = (17, 19, 9)
    volume = _blob(shape, _affine((2, 0, 1), (1, -1, 1), (1.1, 0.7, 3.3), shape))
    preprocessing = Preprocessor(_plan((0.9, 1.3, 1.7)))
    scan = preprocessing.apply_to_scan(volume)
    heatmap = np.random.default_rng(0).integers(0, 2, (3, *scan.shape[1:])).astype(np.float32)
    heatmap[2] = 1.0
    back = preprocessing.inverse(heatmap, scan)
    assert back.dtype == np.float32
    assert back.shape == (3, *shape)
    assert back.min() >= 0.0
    assert back.max() <= 1.0
    np.testing.assert_allclose(back[2], 1.0, atol=1e-6)


def test_an_array_of_another_grid_is_refused() -> None:
    preprocessing = Preprocessor(_plan())
    scan = preprocessing.apply_to_scan(_blob((8, 8, 8), np.eye(4)))
    with pytest.raises(ValueError, match=r"\(1, 8, 8, 7\)"):
        preprocessing.inverse(np.zeros((1, 8, 8, 7), dtype=np.float32), scan)


@pytest.mark.parametrize("change", ["shape", "affine"])
def test_a_label_on_another_grid_is_refused(change: str) -> None:
    preprocessing = Preprocessor(_plan())
    scan = preprocessing.apply_to_scan(_blob((8, 8, 8), np.eye(4)))
    shape, affine = ((8, 8, 7), np.eye(4)) if change == "shape" else ((8, 8, 8), np.diag([1, 1, 2, 1.0]))
    with pytest.raises(InputError, match="shape" if change == "shape" else "voxels from its scan"):
        preprocessing.apply_to_label(Volume(np.zeros(shape, dtype=np.uint8), affine), scan)


def test_a_region_is_a_mask_whatever_its_value() -> None:
    shape = (12, 10, 8)
    volume = _blob(shape, _affine((0, 1, 2), (-1, -1, 1), (1, 1, 2), shape))
    inside = np.zeros(shape, dtype=np.uint8)
    inside[2:9, 3:7, 1:5] = 255
    preprocessing = Preprocessor(_plan((1, 1, 2)))
    scan = preprocessing.apply_to_scan(volume)
    region = preprocessing.apply_to_region(Volume(inside, volume.affine), scan)
    assert region.dtype == torch.bool
    np.testing.assert_array_equal(preprocessing.inverse(region[None], scan, nearest=True)[0], inside > 0)


@given(
    shape=st.tuples(*[st.integers(1, 60)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 9.0)] * 3),
    target=st.tuples(*[st.floats(0.3, 9.0)] * 3),
)
def test_a_resampled_grid_has_the_target_spacing_and_the_same_centre(
    shape: tuple[int, int, int], spacing: tuple[float, ...], target: tuple[float, float, float]
) -> None:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = (-20, 5, 60)
    found, size = resampled_grid(affine, shape, target)
    np.testing.assert_allclose(np.diag(found)[:3], target, rtol=0.0101, atol=1e-3)
    centre = affine @ [*((np.array(shape) - 1) / 2), 1]
    np.testing.assert_allclose(found @ [*((np.array(size) - 1) / 2), 1], centre, atol=1e-6)
    # What is covered differs by at most half a voxel of either grid at each end.
    covered, wanted = (np.array(size) - 1) * np.diag(found)[:3], (np.array(shape) - 1) * spacing
    assert (np.abs(covered - wanted) <= np.array(target) * 0.5 + 1e-6).all()


def test_ct_is_clipped_to_the_window_and_scaled_as_numpy_does() -> None:
    grey = np.random.default_rng(0).normal(40, 400, (9, 9, 9)).astype(np.float32)
    window = FixedWindow(low=-120.5, high=210.25, mean=55.0, sd=31.0)
    expected = (np.clip(grey, -120.5, 210.25) - 55.0) / 31.0
    np.testing.assert_allclose(normalised(grey, window), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("factor", [1e-20, 1.0, 1.7e6, 1e30])
def test_mr_is_clipped_and_scaled_by_itself_at_any_magnitude(factor: float) -> None:
    grey = np.random.default_rng(0).gamma(2, 1, (20, 20, 20))
    low, high = np.percentile(grey, [0.5, 99.5])
    clipped = np.clip(grey, low, high)
    found = normalised((grey * factor).astype(np.float32), PerScan())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, (clipped - clipped.mean()) / clipped.std(), atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, -1024.0, 1.7e6])
@pytest.mark.parametrize("fixed", [None, FixedWindow(low=-100, high=200, mean=50, sd=30)])
def test_a_constant_scan_gives_finite_values(value: float, fixed: FixedWindow | None) -> None:
    preprocessing = Preprocessor(_plan((1, 1, 3), fixed=fixed))
    scan = preprocessing.apply_to_scan(Volume(np.full((6, 5, 4), value, dtype=np.float32), np.eye(4)))
    assert torch.isfinite(scan).all()
    assert float(scan.max() - scan.min()) < 1e-5
    if fixed is None:
        assert not scan.any()


def test_a_nearly_black_scan_keeps_its_content() -> None:
    grey = np.zeros((20, 20, 20), dtype=np.float32)
    grey[10, 10, 8:12] = (3, 5, 7, 9)
    found = normalised(grey, PerScan())
    assert np.isfinite(found).all()
    assert (np.diff(found[10, 10, 8:12]) > 0).all()


@pytest.mark.parametrize(("task", "spacing"), [("hippocampus", (1, 1, 1)), ("glioma", (1.88, 1.88, 4.55))])
def test_real_scans_are_standardised_and_their_labels_return(task: str, spacing: tuple[float, float, float]) -> None:
    if not (_DATA / task).is_dir():
        pytest.skip(f"needs real scans: set CALIBRATED_ENSEMBLE_DATA to the folder that holds {task}")
    preprocessing = Preprocessor(_plan(spacing))
    for path in sorted((_DATA / task / "imagesTr").glob("*.nii.gz"))[:4]:
        volume = read_scan(path)
        label = read_label(_DATA / task / "labelsTr" / path.name, values=(1, 2), scan=volume)
        scan = preprocessing.apply_to_scan(volume)
        np.testing.assert_allclose([scan.mean(), scan.std()], [0, 1], atol=0.05)
        indices = preprocessing.apply_to_label(label, scan)
        back = preprocessing.inverse(indices[None], scan, nearest=True)[0]
        if task == "hippocampus":
            np.testing.assert_array_equal(back, label.array)
        else:
            assert _dice(back > 0, label.array > 0) > 0.9


@pytest.mark.parametrize("spacing", [(20.0, 20.0, 30.0), (150.0, 150.0, 150.0)])
def test_a_scan_that_would_grow_out_of_all_proportion_is_refused_before_it_does(spacing: tuple[float, ...]) -> None:
    scan = Volume(np.zeros((48, 44, 24), np.float32), np.diag([*spacing, 1.0]))
    with pytest.raises(InputError, match=r"voxels of 1?[25]0 x .* mm would become \d+ x \d+ x \d+ voxels"):
        Preprocessor(_plan((1, 1, 2))).apply_to_scan(scan)


def test_thick_slices_of_fine_pixels_may_grow() -> None:
    scan = Volume(np.zeros((40, 40, 6), np.float32), np.diag([1.0, 1.0, 6.0, 1.0]))
    assert Preprocessor(_plan((0.5, 0.5, 0.5))).apply_to_scan(scan).shape == (1, 79, 79, 61)
