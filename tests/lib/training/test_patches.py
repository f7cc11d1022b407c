from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lib.preprocessing.prepared_scans import PreparedScan
from lib.training.augmentation import IMAGE, LABEL, REGION, build_augmentation
from lib.training.patches import PatchDataset, cut_box
from tests.tiny_training import a_ball, ball_scan, prepared


def patches(
    scans: Sequence[PreparedScan],
    size: Sequence[int],
    *,
    batches: int = 8,
    batch_size: int = 2,
    seed: int = 0,
    strength: float = 0.0,
) -> PatchDataset:
    augmentation = build_augmentation(size, spacing=(1, 1, 1), strength=strength, mirror_axes=(0,))
    return PatchDataset(scans, augmentation, patch_size=size, batch_size=batch_size, batches=batches, seed=seed)


def numbered(folder: Path, shape: tuple[int, int, int], *, region: np.ndarray | None = None) -> PreparedScan:
    """A scan whose grey values count its voxels from 1, with two voxels of foreground."""
    image = np.arange(1, np.prod(shape) + 1).reshape(shape)
    label = np.zeros(shape, np.uint8)
    label[0, 0, 0] = label[-1, -1, -1] = 1
    return prepared(folder, "numbered", image, label, region)


def centre(patch: torch.Tensor) -> torch.Tensor:
    x, y, z = (size // 2 for size in patch.shape[-3:])
    return patch[..., x, y, z]


@pytest.mark.parametrize("size", [(8, 8, 8), (7, 10, 3), (12, 6, 1)])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_first_patch_of_every_batch_is_centred_on_foreground(
    tmp_path: Path, size: tuple[int, int, int], batch_size: int
) -> None:
    scans = [ball_scan(tmp_path, "a", 1), numbered(tmp_path, (9, 14, 11))]
    dataset = patches(scans, size, batch_size=batch_size)
    assert len(dataset) == 8 * batch_size
    hits = [int(centre(dataset[index][LABEL])) for index in range(len(dataset))]
    assert all(hits[::batch_size])
    assert batch_size == 1 or not all(hits)


def test_patches_have_the_types_that_the_loss_takes(tmp_path: Path) -> None:
    patch = patches([ball_scan(tmp_path, "a", 1)], (8, 6, 4), strength=1.0)[1]
    assert (patch[IMAGE].shape, patch[IMAGE].dtype) == ((1, 8, 6, 4), torch.float32)
    assert (patch[LABEL].shape, patch[LABEL].dtype) == ((8, 6, 4), torch.int64)
    assert (patch[REGION].shape, patch[REGION].dtype) == ((8, 6, 4), torch.bool)


def test_every_patch_centre_lies_in_the_region(tmp_path: Path) -> None:
    shape = (20, 20, 14)
    region = a_ball(shape, (5, 14, 6), 4)
    label = a_ball(shape, (5, 14, 6), 2) | a_ball(shape, (15, 4, 6), 3)
    scan = prepared(tmp_path, "a", label, label, region)
    for size in ((8, 8, 8), (5, 7, 3)):
        dataset = patches([scan], size, batch_size=4, batches=6)
        for index in range(len(dataset)):
            assert bool(centre(dataset[index][REGION]))


def test_the_region_is_cut_where_the_image_is(tmp_path: Path) -> None:
    shape = (20, 20, 14)
    region = a_ball(shape, (9, 10, 6), 6)
    scan = prepared(tmp_path, "a", region, region, region)
    dataset = patches([scan], (8, 8, 8))
    for index in range(10):
        patch = dataset[index]
        np.testing.assert_array_equal(patch[REGION], patch[LABEL] > 0)
        np.testing.assert_allclose(patch[IMAGE][0], patch[LABEL], atol=1e-5)


def test_an_empty_region_does_not_stop_the_training(tmp_path: Path) -> None:
    shape = (12, 12, 12)
    scan = prepared(tmp_path, "a", np.ones(shape), np.ones(shape), np.zeros(shape, bool))
    assert not any(patches([scan], (8, 8, 8))[index][REGION].any() for index in range(4))


@pytest.mark.parametrize("shape", [(10, 9, 5), (8, 8, 7), (5, 8, 6)])
def test_patches_reach_every_voxel_of_a_scan_up_to_its_borders(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    dataset = patches([numbered(tmp_path, shape)], (8, 8, 4), batches=30)
    seen = {int(value) for index in range(1, 60, 2) for value in dataset[index][IMAGE].round().unique()}
    assert seen - {0} == set(range(1, int(np.prod(shape)) + 1))


def test_a_patch_stays_in_the_scan_where_it_fits(tmp_path: Path) -> None:
    dataset = patches([numbered(tmp_path, (20, 17, 9))], (8, 8, 4))
    assert all((dataset[index][IMAGE].round() > 0).all() for index in range(1, 16, 2))


def test_foreground_is_drawn_from_the_scans_that_have_some(tmp_path: Path) -> None:
    empty = prepared(tmp_path, "empty", np.zeros((12, 12, 12)), np.zeros((12, 12, 12)))
    scans = [empty, ball_scan(tmp_path, "ball", 1)]
    dataset = patches(scans, (8, 8, 8))
    assert all(int(centre(dataset[index][LABEL])) for index in range(0, 16, 2))
    assert len(patches([empty], (8, 8, 8))[0][LABEL].unique()) == 1


def test_a_patch_depends_on_seed_and_number_alone(tmp_path: Path) -> None:
    """And not on what was loaded before: several processes load them."""
    scans = [ball_scan(tmp_path, name, seed) for seed, name in enumerate("abc")]
    forwards = patches(scans, (8, 8, 8), strength=1.0)
    backwards = patches(scans, (8, 8, 8), strength=1.0)
    later = {index: backwards[index] for index in reversed(range(12))}
    for index in range(12):
        patch = forwards[index]
        for key, value in patch.items():
            assert torch.equal(value, later[index][key])
    assert not torch.equal(forwards[1][IMAGE], forwards[3][IMAGE])
    assert not torch.equal(forwards[1][IMAGE], patches(scans, (8, 8, 8), strength=1.0, seed=1)[1][IMAGE])


@given(
    arrays(np.int16, st.tuples(*[st.integers(1, 6)] * 3), elements=st.integers(1, 9)),
    st.tuples(*[st.integers(-9, 9)] * 3),
    st.tuples(*[st.integers(1, 8)] * 3),
)
def test_boxes_are_zero_beyond_the_array(
    array: np.ndarray, start: tuple[int, int, int], size: tuple[int, int, int]
) -> None:
    box = cut_box(array, np.array(start), np.array(size))
    padded = np.pad(array, 20)
    expected = padded[tuple(slice(20 + first, 20 + first + length) for first, length in zip(start, size, strict=True))]
    np.testing.assert_array_equal(box, expected)
    assert box.dtype == array.dtype
