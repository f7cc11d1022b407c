"""Disagreement against MONAI, SciPy and loops over pairs."""

from itertools import combinations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.metrics import compute_dice
from monai.networks.utils import one_hot
from scipy.stats import entropy

from lib.quality.disagreement import mean_entropy, mean_pairwise_dice


def test_pairwise_dice_is_the_mean_of_monais_dice_over_all_pairs() -> None:
    members = np.random.default_rng(0).integers(0, 3, (5, 6, 7, 4), dtype=np.uint8)
    hot = one_hot(torch.from_numpy(members.astype(np.int64))[:, None], num_classes=3)
    pairs = [
        compute_dice(hot[[a]], hot[[b]], include_background=False)[0].numpy() for a, b in combinations(range(5), 2)
    ]
    np.testing.assert_allclose(mean_pairwise_dice(members, class_count=2), np.mean(pairs, axis=0), rtol=1e-5)


def test_members_that_leave_a_class_empty_agree() -> None:
    members = np.zeros((3, 2, 2, 2), np.uint8)
    np.testing.assert_array_equal(mean_pairwise_dice(members, class_count=2), [1, 1])
    members[0, 0, 0, 0] = 1
    # One of three pairs agrees on nothing there, the two others share no voxel.
    np.testing.assert_allclose(mean_pairwise_dice(members, class_count=2), [1 / 3, 1])


@given(st.integers(2, 6), st.integers(0, 100))
def test_equal_members_agree_and_their_order_does_not_matter(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = rng.integers(0, 3, (4, 4, 4), dtype=np.uint8)
    np.testing.assert_allclose(mean_pairwise_dice(np.stack([one] * count), class_count=2), 1)
    members = rng.integers(0, 3, (count, 4, 4, 4), dtype=np.uint8)
    np.testing.assert_allclose(
        mean_pairwise_dice(members, class_count=2), mean_pairwise_dice(members[::-1], class_count=2)
    )


def test_a_single_member_makes_no_pair() -> None:
    assert np.isnan(mean_pairwise_dice(np.zeros((1, 2, 2, 2), np.uint8), class_count=2)).tolist() == [True, True]


def test_entropy_is_scipys_of_this_class_or_not() -> None:
    probability = np.random.default_rng(1).random((2, 3, 4, 5)).astype(np.float32)
    probability[0, 0, 0, :2] = 0, 1
    expected = [entropy(np.stack([one.ravel(), 1 - one.ravel()])).mean() for one in probability.astype(np.float64)]
    np.testing.assert_allclose(mean_entropy(probability), expected)


def test_certainty_has_no_entropy_and_a_toss_up_has_most() -> None:
    certain = np.zeros((1, 2, 2, 2), np.float32)
    np.testing.assert_array_equal(mean_entropy(certain), 0)
    np.testing.assert_allclose(mean_entropy(certain + 0.5), np.log(2))
