"""Augmentation, checked on patches whose every voxel is known."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.transforms import Compose, RandAffined, RandFlipd
from scipy.ndimage import center_of_mass

from lib.training.augmentation import IMAGE, LABEL, REGION, build_augmentation, enlarged_size
from tests.tiny_training import a_ball

ISOTROPIC = (1.0, 1.0, 1.0)


def augmentation(
    size: Sequence[int],
    *,
    strength: float = 1.0,
    mirror_axes: Sequence[int] = (0, 1, 2),
    spacing: Sequence[float] = ISOTROPIC,
) -> Compose:
    return build_augmentation(size, spacing=spacing, strength=strength, mirror_axes=mirror_axes)


def spatial_part(transform: Compose) -> Compose:
    kept = [step for step in transform.transforms if isinstance(step, RandAffined | RandFlipd)]
    assert len(kept) >= 1
    return Compose(kept)


def apply(
    transform: Compose, image: np.ndarray, label: np.ndarray | None = None, *, seed: int
) -> dict[str, np.ndarray]:
    """Augment (x, y, z) arrays; the region is the whole patch."""
    label = np.zeros(image.shape, np.uint8) if label is None else label
    patch = {
        IMAGE: torch.from_numpy(image.astype(np.float32))[None],
        LABEL: torch.from_numpy(label)[None],
        REGION: torch.ones((1, *image.shape)),
    }
    transform.set_random_state(seed=seed)
    return {key: np.asarray(value)[0] for key, value in transform(patch).items()}


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.integers(1, 20)] * 3), st.integers(0, 2**31 - 1))
def test_strength_zero_cuts_out_the_middle(size: tuple[int, int, int], seed: int) -> None:
    before = np.random.default_rng(seed).normal(size=enlarged_size(size)).astype(np.float32)
    label = (before > 0).astype(np.uint8)
    after = apply(augmentation(size, strength=0.0), before, label, seed=seed)
    middle = tuple(slice((a - b) // 2, (a - b) // 2 + b) for a, b in zip(before.shape, size, strict=True))
    np.testing.assert_allclose(after[IMAGE], before[middle], atol=1e-5)
    np.testing.assert_array_equal(after[LABEL], label[middle])
    assert after[REGION].all()


@given(st.tuples(*[st.integers(1, 200)] * 3))
def test_patches_are_cut_larger_by_as_much_on_either_side(size: tuple[int, int, int]) -> None:
    """An odd difference would put every voxel half a voxel off, and blur it."""
    larger = np.array(enlarged_size(size)) - size
    assert (larger % 2 == 0).all()
    assert (larger >= 0.25 * np.array(size)).all()


@pytest.mark.parametrize("size", [(14, 12, 10), (9, 16, 3), (16, 16, 1)])
@pytest.mark.parametrize("strength", [0.25, 1.0])
def test_plain_patches_of_the_right_size_come_out(size: tuple[int, int, int], strength: float) -> None:
    """Also of one slice, and of an odd number of voxels."""
    transform = augmentation(size, strength=strength)
    for seed in range(12):
        transform.set_random_state(seed=seed)
        image = torch.rand((1, *enlarged_size(size)))
        patch = transform({IMAGE: image, LABEL: (image > 0.5).to(torch.uint8), REGION: torch.ones_like(image)})
        for value in patch.values():
            assert type(value) is torch.Tensor
            assert value.shape == (1, *size)
            assert torch.isfinite(value).all()


def test_labels_keep_their_values_and_regions_theirs() -> None:
    transform = augmentation((14, 14, 14))
    rng = np.random.default_rng(0)
    label = rng.choice(np.array([0, 1, 2, 5], np.uint8), size=enlarged_size((14, 14, 14)))
    for seed in range(30):
        after = apply(transform, label.astype(np.float32), label, seed=seed)
        assert set(np.unique(after[LABEL])) <= {0, 1, 2, 5}
        assert set(np.unique(after[REGION])) <= {0, 1}


def test_an_image_equal_to_its_label_stays_so() -> None:
    """Up to the voxels that a boundary passes through, where one is interpolated and the other is not."""
    transform = spatial_part(augmentation((20, 20, 20)))
    label = a_ball(enlarged_size((20, 20, 20)), (9, 15, 13), 5).astype(np.uint8)
    moved = 0
    for seed in range(30):
        after = apply(transform, label, label, seed=seed)
        assert ((after[IMAGE] > 0.5) != (after[LABEL] > 0)).mean() < 0.01
        np.testing.assert_allclose(center_of_mass(after[IMAGE]), center_of_mass(after[LABEL]), atol=0.2)
        moved += not np.array_equal(after[LABEL], label[3:-3, 3:-3, 3:-3])
    assert moved > 15


def test_changes_grow_with_the_strength() -> None:
    image = np.random.default_rng(0).normal(size=enlarged_size((12, 12, 12)))
    plain = image[2:-2, 2:-2, 2:-2]
    means = []
    for strength in (0.0, 0.25, 0.5, 1.0):
        transform = augmentation((12, 12, 12), strength=strength, mirror_axes=())
        means.append(np.mean([np.abs(apply(transform, image, seed=seed)[IMAGE] - plain).mean() for seed in range(30)]))
    assert means[0] < 1e-5
    assert means == sorted(means)
    assert means[3] > 2 * means[1]


def test_only_the_axes_that_the_task_names_are_mirrored() -> None:
    ramps = np.stack(np.meshgrid(*[np.arange(16.0)] * 3, indexing="ij"))
    transform = spatial_part(augmentation((12, 12, 12), strength=0.01, mirror_axes=(0, 2)))
    flipped = np.zeros(3)
    for seed in range(24):
        for axis, ramp in enumerate(ramps):
            after = apply(transform, ramp, seed=seed)[IMAGE]
            flipped[axis] += after.take(0, axis).mean() > after.take(-1, axis).mean()
    assert flipped[1] == 0
    assert 4 < flipped[0] < 20
    assert 4 < flipped[2] < 20


@pytest.mark.parametrize(("spacing", "tilted"), [((1, 1, 1), True), ((1, 1, 6), False)])
def test_thick_slices_are_not_tilted(spacing: tuple[float, float, float], tilted: bool) -> None:
    """Where every slice has a grey value of its own, a tilt mixes them and a turn in the plane does not."""
    size = (16, 16, 8)
    slices = np.broadcast_to(np.arange(enlarged_size(size)[2], dtype=float), enlarged_size(size))
    transform = spatial_part(augmentation(size, spacing=spacing, mirror_axes=()))
    spread = [np.ptp(apply(transform, slices, seed=seed)[IMAGE][6:10, 6:10, 4]) for seed in range(30)]
    assert bool(max(spread) > 0.3) is tilted
    if not tilted:
        assert max(spread) < 1e-3


def test_the_same_seed_gives_the_same_patch_and_another_seed_another() -> None:
    transform = augmentation((12, 12, 12))
    image = np.random.default_rng(0).normal(size=enlarged_size((12, 12, 12)))
    first, again = (apply(transform, image, seed=3)[IMAGE] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert sum(np.array_equal(first, apply(transform, image, seed=seed)[IMAGE]) for seed in range(10)) == 1
