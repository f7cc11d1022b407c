import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from monai.metrics import DiceMetric
from sklearn.metrics import f1_score

from lib.quality.estimated_dsc import class_volumes, estimated_dsc

GRID = (7, 6, 5)


def brute_force(heatmap: np.ndarray, segmentation: np.ndarray, c: int) -> float:
    both = total = 0.0
    for voxel in itertools.product(*map(range, segmentation.shape)):
        p = 1.0 if segmentation[voxel] == c + 1 else 0.0
        h = float(heatmap[(c, *voxel)])
        both += h * p
        total += h + p
    return 2 * both / total


def random_case(classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    heatmap = random.random((classes, *GRID)).astype(np.float32)
    segmentation = random.integers(0, classes + 1, GRID).astype(np.uint8)
    return heatmap, segmentation


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_is_the_ratio_that_a_plain_loop_finds(classes: int) -> None:
    heatmap, segmentation = random_case(classes, seed=classes)
    found = estimated_dsc(heatmap, segmentation, voxel_volume=2.5, typical_volumes=[10.0] * classes)
    assert found == pytest.approx([brute_force(heatmap, segmentation, c) for c in range(classes)], rel=1e-6)


def test_of_a_binary_heatmap_is_the_dice_of_monai_and_scikit_learn() -> None:
    random = np.random.default_rng(3)
    truth, segmentation = random.integers(0, 3, (2, *GRID)).astype(np.uint8)
    one_hot = np.stack([truth == 1, truth == 2]).astype(np.float32)
    found = estimated_dsc(one_hot, segmentation, voxel_volume=1.0, typical_volumes=[1.0, 1.0])
    assert found == pytest.approx(f1_score(truth.ravel(), segmentation.ravel(), labels=[1, 2], average=None))

    import torch

    predicted = torch.as_tensor(np.stack([segmentation == 1, segmentation == 2])[None].astype(np.float32))
    dice = DiceMetric(reduction="none")(predicted, torch.as_tensor(one_hot[None]))
    assert found == pytest.approx(dice[0].tolist())


def test_is_1_where_nothing_is_predicted_and_nothing_left() -> None:
    found = estimated_dsc(np.zeros((2, *GRID)), np.zeros(GRID, int), voxel_volume=1.0, typical_volumes=[50.0, 0.0])
    assert found == (1.0, 1.0)


def test_stays_close_to_1_where_nothing_is_predicted_and_a_handful_of_voxels_is_faint() -> None:
    heatmap = np.zeros((1, 40, 40, 10), np.float32)
    heatmap[0, 3, 3, :5] = 0.05
    found = estimated_dsc(heatmap, np.zeros((40, 40, 10), np.uint8), voxel_volume=3.2, typical_volumes=[8000.0])
    assert found[0] == pytest.approx(1 - 5 * 0.05 * 3.2 / 8000)


@pytest.mark.parametrize("times", [1.0, 3.0])
def test_is_0_where_nothing_is_predicted_and_the_heatmap_holds_a_typical_lesion(times: float) -> None:
    heatmap = np.full((1, *GRID), 0.4, np.float32)
    typical = float(heatmap.sum(dtype=np.float64)) * 2.0 / times
    found = estimated_dsc(heatmap, np.zeros(GRID, np.uint8), voxel_volume=2.0, typical_volumes=[typical])
    assert found[0] == pytest.approx(0.0, abs=1e-6)


def test_does_not_depend_on_the_voxel_size_where_something_is_predicted() -> None:
    heatmap, segmentation = random_case(2, seed=5)
    small = estimated_dsc(heatmap, segmentation, voxel_volume=0.1, typical_volumes=[10.0, 0.0])
    assert small == estimated_dsc(heatmap, segmentation, voxel_volume=99.0, typical_volumes=[1.0, 7.0])


def test_takes_the_likeliest_voxel_of_a_class_that_no_label_held() -> None:
    heatmap = np.zeros((1, *GRID), np.float32)
    heatmap[0, 1, 2, 3], heatmap[0, 1, 2, 4] = 0.3, 0.2
    found = estimated_dsc(heatmap, np.zeros(GRID, np.uint8), voxel_volume=2.0, typical_volumes=[0.0])
    assert found[0] == pytest.approx(0.7)


def test_is_0_where_something_is_predicted_and_the_heatmap_is_empty() -> None:
    found = estimated_dsc(np.zeros((1, *GRID)), np.ones(GRID, np.uint8), voxel_volume=1.0, typical_volumes=[1.0])
    assert found == (0.0,)


def test_counts_what_an_unconstrained_fit_leaves_outside_0_and_1_as_0_and_1() -> None:
    heatmap, segmentation = random_case(2, seed=6)
    wide = heatmap * 1.6 - 0.3
    typical = [9.0, 9.0]
    found = estimated_dsc(wide, segmentation, voxel_volume=1.0, typical_volumes=typical)
    assert found == estimated_dsc(np.clip(wide, 0, 1), segmentation, voxel_volume=1.0, typical_volumes=typical)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("predicted", [0, 1])
def test_refuses_values_that_are_not_finite(wrong: float, predicted: int) -> None:
    heatmap = np.zeros((2, *GRID), np.float32)
    heatmap[1, 2, 2, 2] = wrong
    with pytest.raises(ValueError, match="class 2: holds NaN or infinite"):
        estimated_dsc(heatmap, np.full(GRID, predicted), voxel_volume=1.0, typical_volumes=[1.0, 1.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heatmap": np.zeros((1, 7, 6, 4))}, "shape"),
        ({"heatmap": np.zeros(GRID)}, "shape"),
        ({"typical_volumes": [1.0, 2.0]}, "2 values for 1 classes"),
        ({"typical_volumes": [-1.0]}, "typical_volumes"),
        ({"typical_volumes": [np.nan]}, "typical_volumes"),
        ({"voxel_volume": 0.0}, "voxel_volume"),
        ({"voxel_volume": np.nan}, "voxel_volume"),
        ({"segmentation": np.full(GRID, 2)}, "class indices 0 to 1"),
        ({"segmentation": np.full(GRID, -1)}, "class indices 0 to 1"),
        ({"segmentation": np.zeros(GRID, np.float32)}, "whole numbers"),
    ],
)
def test_refuses_what_does_not_fit(change: dict, message: str) -> None:
    right = {
        "heatmap": np.zeros((1, *GRID)),
        "segmentation": np.zeros(GRID, int),
        "voxel_volume": 1.0,
        "typical_volumes": [1.0],
    }
    estimated_dsc(**right)
    with pytest.raises(ValueError, match=message):
        estimated_dsc(**(right | change))


@given(data=st.data(), grid=array_shapes(min_dims=3, max_dims=3, max_side=4), classes=st.integers(1, 3))
def test_lies_between_0_and_1(data: st.DataObject, grid: tuple[int, ...], classes: int) -> None:
    heatmap = data.draw(arrays(np.float32, (classes, *grid), elements=st.floats(0, 1, width=32)))
    segmentation = data.draw(arrays(np.uint8, grid, elements=st.integers(0, classes)))
    typical = data.draw(st.lists(st.floats(0, 1e6), min_size=classes, max_size=classes))
    found = estimated_dsc(heatmap, segmentation, voxel_volume=0.7, typical_volumes=typical)
    assert all(0 <= value <= 1 for value in found)


def test_class_volumes_count_the_voxels_of_each_class() -> None:
    segmentation = np.array([0, 1, 1, 3, 3, 3], np.uint8)
    assert class_volumes(segmentation, class_count=4, voxel_volume=0.5) == (1.0, 0.0, 1.5, 0.0)
