"""Platt scaling of counted voxels, against scikit-learn on the voxels themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from lib.calibration.member_outputs import MemberOutputs
from lib.calibration.platt import Platt, PlattCurve, PlattScaling, fit_platt_curve
from lib.calibration.statistics.probability_counts import ReliabilityCounts, count_probabilities
from lib.calibration.statistics.thresholds import FAINTEST
from tests.lib.calibration.samples import draw_samples, logit_of


def test_the_curve_is_that_of_a_logistic_regression_on_the_voxels() -> None:
    samples = draw_samples(0)
    p, y = samples.softmax[1], samples.truth
    seen = p >= FAINTEST
    expected = LogisticRegression(C=np.inf, tol=1e-8).fit(logit_of(p[seen])[:, None], y[seen])
    (curve,) = Platt().fit(samples.statistics).curves
    assert curve is not None
    assert curve.slope == pytest.approx(expected.coef_[0, 0], rel=5e-3)
    assert curve.intercept == pytest.approx(expected.intercept_[0], abs=5e-3)
    # The softmax was made 1.8 times as confident as it ought to be, under noise.
    assert 0.3 < curve.slope < 0.7


def test_the_mean_probability_of_the_voxels_is_the_share_of_foreground() -> None:
    """As for any logistic regression with an intercept, but for the two voxels that Platt adds."""
    samples = draw_samples(1)
    p = samples.softmax[1][samples.softmax[1] >= FAINTEST]
    (curve,) = Platt().fit(samples.statistics).curves
    assert curve is not None
    counts = samples.statistics.softmax[0]
    assert curve(p).mean() == pytest.approx(counts.foreground.sum() / counts.voxels.sum(), abs=1e-3)


@pytest.mark.parametrize("foreground", [0, 1, 2, 500, 999, 1000])
def test_voxels_of_one_kind_and_voxels_that_a_threshold_parts_have_a_finite_curve(foreground: int) -> None:
    p = np.linspace(0.011, 1, 1000)
    curve = fit_platt_curve(count_probabilities(p, np.arange(1000) >= 1000 - foreground))
    assert curve is not None
    h = curve(p)
    assert np.isfinite(h).all()
    assert h.sum() == pytest.approx(foreground, abs=2.5)


def test_where_foreground_grows_rarer_with_the_softmax_the_share_of_foreground_takes_the_place_of_a_falling_curve() -> (
    None
):
    p = np.linspace(0.011, 1, 1000)
    truth = np.random.default_rng(0).random(1000) < 0.4 * (1 - p)
    curve = fit_platt_curve(count_probabilities(p, truth))
    assert curve is not None
    assert curve.slope == 0
    np.testing.assert_allclose(curve(p), truth.mean(), atol=2e-3)
    assert PlattScaling(curves=(curve, PlattCurve(slope=0.5, intercept=-1), None)).rises == (False, True, False)


def test_one_voxel_is_enough() -> None:
    curve = fit_platt_curve(count_probabilities(np.array([0.7]), np.array([True])))
    assert curve is not None
    # Platt's target for a single voxel is 2 / 3, against one half for the other kind.
    assert 0.5 < curve(np.array([0.7]))[0] < 1


def test_a_billion_voxels_are_fitted_as_a_thousand_are() -> None:
    counts = draw_samples(2).statistics.softmax[0]
    many = ReliabilityCounts(
        counts.voxels * 10**6, counts.foreground * 10**6, counts.heat * 10**6, counts.squared_error * 10**6
    )
    few, lots = fit_platt_curve(counts), fit_platt_curve(many)
    assert few is not None
    assert lots is not None
    assert (lots.slope, lots.intercept) == pytest.approx((few.slope, few.intercept), abs=5e-3)


def test_a_class_without_voxels_is_zero_in_the_heatmap_and_leaves_the_other_alone() -> None:
    assert fit_platt_curve(ReliabilityCounts.zeros()) is None
    curve = PlattCurve(slope=0.5, intercept=-1)
    softmax = np.array([[[0.1], [0.6], [0.3]], [[0.8], [0.005], [0.195]]], np.float32)
    outputs = MemberOutputs(np.zeros((2, 1, 1), np.uint8), softmax)
    h = PlattScaling(curves=(curve, None)).heatmap(outputs)
    # The second fold is too faint to count.
    np.testing.assert_allclose(h, [[expit(0.5 * np.log(0.6 / 0.4) - 1) / 2], [0]], rtol=1e-6)


@given(st.floats(-5, 5), st.floats(-20, 20), st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20))
def test_heatmaps_are_probabilities_for_any_curve(slope: float, intercept: float, softmax: list[float]) -> None:
    p = np.array(softmax, np.float32)
    outputs = MemberOutputs(np.zeros((1, 1, len(p)), np.uint8), np.stack([1 - p, p])[None])
    h = PlattScaling(curves=(PlattCurve(slope=slope, intercept=intercept),)).heatmap(outputs)
    assert h.dtype == np.float32
    assert ((h >= 0) & (h <= 1)).all()
    assert (h[0][p < FAINTEST] == 0).all()
