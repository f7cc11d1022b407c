"""Corruptions: the same again, on the same grid, and the label moves with the patient only."""

from itertools import islice

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from lib.images.volume import Volume
from lib.simulation.corruptions import KINDS, Corrupted, corrupt, corruption_kind
from lib.task.task import Modality
from tests.tiny_training import a_ball

_SHAPE = (28, 24, 16)
_SPACING = (1.0, 1.2, 3.0)

every_kind = pytest.mark.parametrize("kind", KINDS[Modality.MR])


def a_scan(shape: tuple[int, int, int] = _SHAPE) -> tuple[Volume, Volume, Volume]:
    """A bright ball beside the centre, its label, and a region around it."""
    affine = nib.affines.from_matvec(np.diag(_SPACING), (-20, 5, 40))
    centre = np.array(shape) * (0.4, 0.6, 0.5)
    ball = a_ball(shape, centre, 5)
    grey = 100 + 200 * ball + np.random.default_rng(0).normal(scale=10, size=shape)
    return (
        Volume(grey.astype(np.float32), affine),
        Volume(ball.astype(np.uint8), affine),
        Volume(a_ball(shape, centre, 8), affine),
    )


def name_of(kind: str, modality: Modality = Modality.MR, *, skip: int = 0) -> str:
    """A name whose scan is corrupted in this way, after others that are."""
    names = (f"scan_{number}" for number in range(1_000))
    return next(islice((name for name in names if corruption_kind(name, modality=modality) == kind), skip, None))


def corrupted(kind: str, shape: tuple[int, int, int] = _SHAPE, *, region: bool = True) -> Corrupted:
    scan, label, inside = a_scan(shape)
    return corrupt(scan, label, inside if region else None, name=name_of(kind), modality=Modality.MR)


@every_kind
def test_every_kind_changes_the_scan_and_keeps_its_grid(kind: str) -> None:
    scan, label, region = a_scan()
    result = corrupted(kind)
    assert result.region is not None
    for volume, original in ((result.scan, scan), (result.label, label), (result.region, region)):
        assert volume.shape == original.shape
        assert volume.array.dtype == original.array.dtype
        np.testing.assert_array_equal(volume.affine, original.affine)
    assert np.isfinite(result.scan.array).all()
    assert np.abs(result.scan.array - scan.array).mean() > 1
    # What is seen stays recognisable: the ball is still brighter than the rest.
    ball = result.label.array > 0
    assert result.scan.array[ball].mean() > result.scan.array[~ball].mean()


@every_kind
def test_the_same_name_gives_the_same_scan_and_another_name_another(kind: str) -> None:
    first, again = corrupted(kind), corrupted(kind)
    np.testing.assert_array_equal(first.scan.array, again.scan.array)
    scan, label, region = a_scan()
    others = [corrupt(scan, label, region, name=name_of(kind, skip=skip), modality=Modality.MR) for skip in range(1, 5)]
    # Slices become thicker by one of few whole numbers.
    assert any((first.scan.array != other.scan.array).any() for other in others)


@every_kind
def test_label_and_region_move_with_rotation_only(kind: str) -> None:
    _, label, region = a_scan()
    result = corrupted(kind)
    assert result.region is not None
    moved = (result.label.array != label.array).any() or (result.region.array != region.array).any()
    assert moved == (kind == "rotation")


def test_scan_and_label_turn_together_about_the_centre() -> None:
    _, label, _ = a_scan()
    result = corrupted("rotation")
    bright = result.scan.array > 200
    overlap = 2 * (bright & (result.label.array > 0)).sum() / (bright.sum() + np.count_nonzero(result.label.array))
    assert overlap > 0.9
    # A turn keeps the ball's distance from the centre of the volume, in millimetres, and its size.
    middle, spacing = (np.array(_SHAPE) - 1) / 2, np.array(_SPACING)
    before, after = (
        np.linalg.norm((np.array(center_of_mass(array)) - middle) * spacing)
        for array in (label.array, result.label.array)
    )
    assert after == pytest.approx(before, abs=0.7)
    assert np.count_nonzero(result.label.array) == pytest.approx(np.count_nonzero(label.array), rel=0.15)
    assert set(np.unique(result.label.array)) <= {0, 1}


@every_kind
@pytest.mark.parametrize("shape", [(28, 24, 1), (28, 24, 2), (1, 24, 16), (3, 3, 3)])
def test_thin_scans_are_corrupted_too(kind: str, shape: tuple[int, int, int]) -> None:
    result = corrupted(kind, shape)
    assert result.scan.shape == shape
    assert np.isfinite(result.scan.array).all()


@every_kind
def test_a_constant_scan_without_region_does_no_harm(kind: str) -> None:
    scan, label, _ = a_scan()
    constant = Volume(np.full_like(scan.array, 7), scan.affine)
    result = corrupt(constant, label, None, name=name_of(kind), modality=Modality.MR)
    assert result.region is None
    assert np.isfinite(result.scan.array).all()


def test_blur_lessens_and_noise_adds_detail() -> None:
    scan, _, _ = a_scan()

    def detail(array: np.ndarray) -> float:
        return float(np.abs(np.diff(array, axis=0)).mean())

    assert detail(corrupted("blur").scan.array) < 0.6 * detail(scan.array)
    assert detail(corrupted("noise").scan.array) > 1.2 * detail(scan.array)


def test_thick_slices_differ_less_from_their_neighbours() -> None:
    scan, _, _ = a_scan()
    steps = [np.abs(np.diff(array, axis=2)).mean() for array in (corrupted("thick_slices").scan.array, scan.array)]
    assert steps[0] < 0.7 * steps[1]


def test_gamma_keeps_the_order_and_the_range_of_grey_values() -> None:
    scan, _, _ = a_scan()
    grey = corrupted("gamma").scan.array
    order = np.argsort(scan.array, axis=None)
    assert (np.diff(grey.ravel()[order]) >= -1e-3).all()
    np.testing.assert_allclose([grey.min(), grey.max()], [scan.array.min(), scan.array.max()], rtol=1e-4)


def test_all_kinds_are_drawn_and_ct_has_no_free_grey_scale() -> None:
    drawn = {
        modality: {corruption_kind(f"case {number}", modality=modality) for number in range(200)}
        for modality in Modality
    }
    assert drawn == {modality: set(kinds) for modality, kinds in KINDS.items()}
    assert not {"bias_field", "gamma", "ghosting"} & drawn[Modality.CT]
