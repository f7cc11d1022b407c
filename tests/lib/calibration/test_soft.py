"""Least squares on moments, against least squares on the voxels themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from lib.calibration.member_outputs import MemberOutputs, RequiredOutputs
from lib.calibration.settings import Solver
from lib.calibration.soft import SoftmaxWeights, combine_softmax, fit_soft_coefficients
from lib.calibration.statistics.soft_moments import SoftMoments
from lib.calibration.statistics.thresholds import FAINTEST
from tests.lib.calibration.samples import draw_samples, reduced, some_softmax


def seen_voxels(softmax: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    seen = softmax.max(axis=0) >= FAINTEST
    return softmax[:, seen].astype(float), truth[seen].astype(float)


@pytest.mark.parametrize("members", [1, 3, 7])
def test_the_unconstrained_fit_is_least_squares_on_the_voxels(members: int) -> None:
    samples = draw_samples(0, members=members)
    p, y = seen_voxels(samples.softmax, samples.truth)
    expected = np.linalg.lstsq(p.T, y, rcond=None)[0]
    (a,) = fit_soft_coefficients(samples.statistics.moments, Solver.UNCONSTRAINED)
    np.testing.assert_allclose(a, expected, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("members", [1, 3, 7])
def test_the_nonnegative_fit_is_the_best_of_all_shares(members: int, seed: int) -> None:
    samples = draw_samples(seed, members=members, count=3000)
    p, y = seen_voxels(samples.softmax, samples.truth)
    (a,) = fit_soft_coefficients(samples.statistics.moments, Solver.NONNEGATIVE)
    best = minimize(
        lambda a: np.square(a @ p - y).mean(),
        np.full(members, 1 / members),
        jac=lambda a: 2 * p @ (a @ p - y) / len(y),
        bounds=[(0, 1)] * members,
        constraints={"type": "ineq", "fun": lambda a: 1 - a.sum(), "jac": lambda a: -np.ones_like(a)},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert np.square(a @ p - y).mean() <= best.fun + 1e-8
    np.testing.assert_allclose(a, best.x, atol=1e-3)


def test_shares_that_made_the_truth_are_found() -> None:
    """Where a voxel's probability is a weighted sum of softmax, the weights come back."""
    rng = np.random.default_rng(0)
    softmax = rng.random((3, 200_000)).astype(np.float32)
    truth = rng.random(200_000) < np.array([0.5, 0.0, 0.3]) @ softmax
    for solver in Solver:
        (a,) = fit_soft_coefficients(reduced(softmax, truth, served=1).moments, solver)
        np.testing.assert_allclose(a, [0.5, 0, 0.3], atol=0.01)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([0.0, 0.02, 0.5, 1.0]))
def test_nonnegative_coefficients_are_shares_for_any_voxels(seed: int, members: int, prevalence: float) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 40))
    softmax = rng.beta(0.3, 0.3, (members, count)).astype(np.float32)
    moments = reduced(softmax, rng.random(count) < prevalence, served=0).moments
    (a,) = fit_soft_coefficients(moments, Solver.NONNEGATIVE)
    assert (a >= 0).all()
    assert a.sum() <= 1 + 1e-9


@pytest.mark.parametrize("solver", list(Solver))
def test_members_that_answer_alike_share_their_coefficient(solver: Solver) -> None:
    samples = draw_samples(3)
    twice = samples.softmax[[1, 1, 2]]
    (a,) = fit_soft_coefficients(reduced(twice, samples.truth, served=1).moments, solver)
    (once,) = fit_soft_coefficients(reduced(twice[1:], samples.truth, served=0).moments, solver)
    assert a[0] == pytest.approx(a[1], abs=1e-4)
    assert a[0] + a[1] == pytest.approx(once[0], abs=1e-4)


def test_a_class_that_no_member_gives_anything_has_zero_coefficients() -> None:
    for solver in Solver:
        assert fit_soft_coefficients(SoftMoments.zeros(2, 3), solver).tolist() == [[0, 0, 0]] * 2


def test_the_heatmap_weights_the_softmax_of_all_members_and_asks_for_it() -> None:
    samples = draw_samples(4)
    fitted = SoftmaxWeights().fit(samples.statistics)
    assert fitted.required_outputs is RequiredOutputs.MEMBER_SOFTMAX
    nothing = np.zeros((1, 3, 1), np.uint8)
    with pytest.raises(ValueError, match="lack the softmax of all members"):
        fitted.heatmap(MemberOutputs(nothing, np.zeros((1, 2, 1), np.float32)))
    h = fitted.heatmap(MemberOutputs(nothing, nothing, member_softmax=samples.softmax[:, None]))
    seen = samples.softmax.max(axis=0) >= FAINTEST
    np.testing.assert_allclose(h[0], np.array(fitted.coefficients[0]) @ samples.softmax * seen, atol=1e-6)


def test_softmax_is_weighted_voxel_by_voxel():
    softmax, coefficients = some_softmax(0, 3, 2, 4, 5), np.array([[0.5, 0.2, 0.3], [0.9, -0.4, 1.2]])
    h = combine_softmax(softmax, coefficients)
    assert (h.shape, h.dtype) == ((2, 4, 5), np.float32)
    for c, x, y in np.ndindex(h.shape):
        p = softmax[:, c, x, y].astype(float)
        expected = 0 if max(p) < FAINTEST else min(max(coefficients[c] @ p, 0), 1)
        assert h[c, x, y] == pytest.approx(expected, abs=1e-6)


def test_softmax_that_fits_no_coefficients_is_refused():
    with pytest.raises(ValueError, match=r"coefficients of shape \(1, 3\) do not fit"):
        combine_softmax(np.zeros((2, 1, 5), np.float32), np.zeros((1, 3)))
