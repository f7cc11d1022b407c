import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics import compute_dice
from monai.networks.utils import one_hot

from lib.metrics.dice import dice_beside_estimate, dice_per_class

_CLASSES = arrays(np.uint8, (3, 4, 2), elements=st.integers(0, 2))


@given(_CLASSES, _CLASSES)
def test_dice_is_that_of_counted_voxels(segmentation: np.ndarray, label: np.ndarray) -> None:
    dice = dice_per_class(segmentation, label, class_count=3)
    assert dice.shape == (3,)
    assert dice.dtype == np.float64
    for number, value in enumerate(dice, 1):
        predicted = set(np.flatnonzero(segmentation == number))
        labelled = set(np.flatnonzero(label == number))
        if predicted or labelled:
            assert value == pytest.approx(2 * len(predicted & labelled) / (len(predicted) + len(labelled)))
        else:
            assert np.isnan(value)
    assert np.isnan(dice[2])


def test_dice_is_zero_where_only_one_side_holds_the_class() -> None:
    some, none = np.ones((2, 2, 2), np.uint8), np.zeros((2, 2, 2), np.uint8)
    assert dice_per_class(some, none, class_count=1) == [0.0]
    assert dice_per_class(none, some, class_count=1) == [0.0]
    assert dice_per_class(some, some, class_count=1) == [1.0]


def test_dice_is_monais_over_all_voxels() -> None:
    segmentation, label = np.random.default_rng(0).integers(0, 4, (2, 6, 7, 8), dtype=np.uint8)
    hot = [one_hot(torch.from_numpy(one.astype(np.int64))[None, None], num_classes=4) for one in (segmentation, label)]
    expected = compute_dice(hot[0], hot[1], include_background=False)[0].numpy()
    np.testing.assert_allclose(dice_per_class(segmentation, label, class_count=3), expected, rtol=1e-6)
    nothing = np.zeros_like(label)
    assert np.isnan(dice_per_class(nothing, nothing, class_count=3)).all()
    assert dice_per_class(nothing, label, class_count=3).tolist() == [0, 0, 0]


def test_beside_an_estimate_a_class_that_is_in_neither_counts_as_found() -> None:
    segmentation = np.zeros((3, 3, 3), np.uint8)
    label = segmentation.copy()
    segmentation[0, 0, :2] = label[0, 0, 1:] = 1
    assert dice_beside_estimate(segmentation, label, class_count=2).tolist() == [0.5, 1.0]
