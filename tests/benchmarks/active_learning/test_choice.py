"""Choices against brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.active_learning.choice import AssessedCandidates, Strategy, choose, mutual_distances, standardise
from scoring.strategies.k_centre import k_centres, nearest_distances


def points(count: st.SearchStrategy[int]) -> st.SearchStrategy[np.ndarray]:
    # Few values, so that twins and ties are common.
    return count.flatmap(lambda n: arrays(np.float64, (n, 2), elements=st.integers(-3, 3).map(float)))


def radius(points: np.ndarray, centres: np.ndarray) -> float:
    """Distance of the point that is farthest from its nearest centre, by a plain loop."""
    return max(min(float(np.hypot(*(point - centre))) for centre in centres) for point in points)


@given(points(st.integers(2, 7)), points(st.integers(1, 3)), st.data())
def test_k_centres_take_the_farthest_point_each_time(
    every: np.ndarray, covered: np.ndarray, data: st.DataObject
) -> None:
    count = data.draw(st.integers(0, len(every)))
    chosen = k_centres(every, covered, count).tolist()
    assert len(set(chosen)) == len(chosen) == count
    for number, index in enumerate(chosen):
        centres = [*covered, *every[chosen[:number]]]
        distances = {
            left: min(float(np.hypot(*(every[left] - centre))) for centre in centres)
            for left in range(len(every))
            if left not in chosen[:number]
        }
        assert distances[index] == pytest.approx(max(distances.values()))


@given(points(st.integers(2, 7)), points(st.integers(1, 3)), st.data())
def test_k_centres_cover_at_least_half_as_well_as_the_best(
    every: np.ndarray, covered: np.ndarray, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, len(every)))
    best = min(
        radius(every, np.concatenate([covered, every[list(some)]]))
        for some in itertools.combinations(range(len(every)), count)
    )
    chosen = k_centres(every, covered, count)
    assert radius(every, np.concatenate([covered, every[chosen]])) <= 2 * best + 1e-9


def test_k_centres_need_a_centre_and_points_enough() -> None:
    with pytest.raises(ValueError, match="no centres"):
        k_centres(np.zeros((3, 2)), np.zeros((0, 2)), 1)
    with pytest.raises(ValueError, match="4 points cannot be chosen of 3"):
        k_centres(np.zeros((3, 2)), np.zeros((1, 2)), 4)


@given(points(st.integers(2, 6)), points(st.integers(1, 4)))
def test_distances_are_those_of_a_plain_loop(ours: np.ndarray, theirs: np.ndarray) -> None:
    nearest = [min(float(np.hypot(*(one - other))) for other in theirs) for one in ours]
    np.testing.assert_allclose(nearest_distances(ours, theirs), nearest)
    mutual = [
        min(float(np.hypot(*(one - other))) for j, other in enumerate(ours) if i != j) for i, one in enumerate(ours)
    ]
    np.testing.assert_allclose(mutual_distances(ours), mutual)


def test_standardised_scans_have_the_mean_squared_distance_two() -> None:
    rng = np.random.default_rng(0)
    features = standardise(np.hstack([rng.normal(5, 100, (50, 3)), rng.normal(0, 1e-3, (50, 2))]))
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-9)
    squared = ((features[:, None] - features[None]) ** 2).sum(axis=-1)
    # Over all ordered pairs, those of a scan with itself included, twice the variance.
    assert squared.mean() == pytest.approx(2)


def test_a_constant_feature_says_nothing() -> None:
    np.testing.assert_array_equal(standardise(np.full((3, 2), 7.0)), np.zeros((3, 2)))


def some_candidates(count: int, seed: int) -> AssessedCandidates:
    rng = np.random.default_rng(seed)
    return AssessedCandidates(
        names=[f"scan_{index}" for index in range(count)],
        estimated_dsc=rng.integers(0, 9, (count, 2)) / 8,
        entropy=rng.integers(0, 4, count).astype(float),
        features=rng.normal(size=(count, 3)),
        labelled_features=rng.normal(size=(2, 3)),
    )


@given(st.sampled_from(Strategy), st.integers(1, 12), st.integers(0, 1000), st.data())
def test_choices_are_as_many_different_scans_as_wanted_and_repeat(
    strategy: Strategy, available: int, seed: int, data: st.DataObject
) -> None:
    candidates, count = some_candidates(available, seed), data.draw(st.integers(1, available))
    chosen, again = (choose(strategy, candidates, count, rng=np.random.default_rng(seed)).tolist() for _ in range(2))
    assert chosen == again
    assert len(set(chosen)) == len(chosen) == count
    assert set(chosen) <= set(range(available))


@given(st.integers(1, 20), st.integers(0, 1000), st.data())
def test_each_strategy_chooses_by_its_own_figures(available: int, seed: int, data: st.DataObject) -> None:
    candidates, count = some_candidates(available, seed), data.draw(st.integers(1, available))
    rng = np.random.default_rng(0)
    estimates = candidates.estimated_dsc
    assert estimates is not None
    by_estimate = sorted(range(available), key=lambda index: (sum(estimates[index]), index))
    assert choose(Strategy.LEAST_CERTAIN, candidates, count, rng=rng).tolist() == by_estimate[:count]
    by_entropy = sorted(range(available), key=lambda index: (-candidates.entropy[index], index))
    assert choose(Strategy.ENTROPY, candidates, count, rng=rng).tolist() == by_entropy[:count]
    diverse = choose(Strategy.DIVERSE, candidates, count, rng=rng)
    shortlist = np.array(by_estimate[: 3 * count])
    assert set(diverse) <= set(shortlist)
    far = nearest_distances(candidates.features[shortlist], candidates.labelled_features)
    assert diverse[0] == shortlist[far.argmax()]


@pytest.mark.parametrize("count", [0, 5])
def test_a_choice_of_none_or_of_more_than_there_are_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} scans cannot be chosen of 4"):
        choose(Strategy.RANDOM, some_candidates(4, 0), count, rng=np.random.default_rng(0))
