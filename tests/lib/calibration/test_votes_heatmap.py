"""Eq. 3: from votes and coefficients to probabilities, against a loop over voxels."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lib.calibration import votes as votes_module
from lib.calibration.votes import combine_votes


def heatmap_by_loop(segmentations, coefficients):
    folds, members, *grid = segmentations.shape
    h = np.zeros((len(coefficients), *grid))
    for place in itertools.product(*(range(n) for n in grid)):
        for c in range(len(coefficients)):
            for f in range(folds):
                votes = [float(segmentations[(f, k, *place)] == c + 1) for k in range(members)]
                total = sum(a * s for a, s in zip(coefficients[c], votes, strict=True))
                h[(c, *place)] += min(max(total, 0.0), 1.0) / folds
    return h


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_heatmap_is_that_of_a_loop_over_voxels(data):
    folds, members, classes = (data.draw(st.integers(1, n)) for n in (3, 4, 3))
    grid = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    segmentations = data.draw(hnp.arrays(np.uint8, (folds, members, *grid), elements=st.integers(0, classes)))
    coefficients = data.draw(hnp.arrays(np.float64, (classes, members), elements=st.floats(-1, 1)))
    h = combine_votes(segmentations, coefficients)
    assert h.dtype == np.float32
    assert h.min() >= 0
    assert h.max() <= 1
    np.testing.assert_allclose(h, heatmap_by_loop(segmentations, coefficients), atol=1e-6)


def test_a_large_scan_in_several_chunks_is_the_weighted_sum_of_the_masks():
    generator = np.random.default_rng(0)
    grid = (71, 80, 61)
    assert np.prod(grid) > votes_module._CHUNK
    segmentations = generator.integers(0, 3, (2, 7, *grid)).astype(np.uint8)
    segmentations[..., :30, :, :] = 0
    coefficients = generator.dirichlet(np.ones(8), size=2)[:, :7]
    expected = np.stack(
        [np.tensordot(a, (segmentations == c + 1).mean(axis=0), axes=1) for c, a in enumerate(coefficients)]
    )
    np.testing.assert_allclose(combine_votes(segmentations, coefficients), expected, atol=1e-6)


def test_no_vote_is_exactly_zero_and_all_votes_exactly_the_sum():
    segmentations = np.zeros((3, 7, 2), np.uint8)
    segmentations[..., 1] = 1
    coefficients = np.full((1, 7), 1 / 7)
    assert combine_votes(segmentations, coefficients)[0].tolist() == [0.0, 1.0]


@pytest.mark.parametrize("folds", [1, 2, 3, 5, 7, 10])
def test_mean_over_folds_never_exceeds_one(folds):
    segmentations = np.ones((folds, 3, 4), np.uint8)
    h = combine_votes(segmentations, np.array([[0.3, 0.3, 0.4]]))
    assert h.tolist() == [[1.0] * 4]


def test_sums_outside_zero_to_one_are_clipped_in_each_fold_before_the_mean():
    segmentations = np.array([[[1], [0]], [[0], [1]]], np.uint8)
    assert combine_votes(segmentations, np.array([[1.5, -0.5]])).tolist() == [[0.5]]


def test_classes_exclude_each_other():
    segmentations = np.array([[[1, 2, 2], [1, 1, 2]]], np.uint8)
    h = combine_votes(segmentations, np.array([[0.25, 0.75], [0.5, 0.5]]))
    np.testing.assert_allclose(h, [[1.0, 0.75, 0.0], [0.0, 0.5, 1.0]])


def test_empty_scan_has_an_empty_heatmap():
    h = combine_votes(np.zeros((3, 7, 4, 5, 6), np.uint8), np.full((2, 7), 0.1))
    assert h.shape == (2, 4, 5, 6)
    assert not h.any()


VOTES = np.ones((3, 7, 2, 2), np.uint8)
COEFFICIENTS = np.full((1, 7), 0.1)


@pytest.mark.parametrize(
    ("segmentations", "coefficients", "error", "message"),
    [
        (VOTES, np.where(np.arange(7) == 3, np.nan, COEFFICIENTS), ValueError, "not finite"),
        (VOTES, COEFFICIENTS * np.inf, ValueError, "not finite"),
        (VOTES, COEFFICIENTS[0], ValueError, r"coefficients have shape \(7,\); give \(classes, members\)"),
        (VOTES, COEFFICIENTS[:0], ValueError, r"coefficients have shape \(0, 7\)"),
        (VOTES, COEFFICIENTS[:, :6], ValueError, r"need \(folds, 6, \*grid\)"),
        (VOTES[0], COEFFICIENTS, ValueError, r"segmentations have shape \(7, 2, 2\)"),
        (VOTES[:0], COEFFICIENTS, ValueError, r"segmentations have shape \(0, 7, 2, 2\)"),
        (VOTES + np.uint8(1), COEFFICIENTS, ValueError, r"class index 2; the coefficients know 0\.\.1"),
        (VOTES.astype(bool), COEFFICIENTS, TypeError, "segmentations are bool"),
    ],
)
def test_refuses_what_does_not_fit(segmentations, coefficients, error, message):
    with pytest.raises(error, match=message):
        combine_votes(segmentations, coefficients)
