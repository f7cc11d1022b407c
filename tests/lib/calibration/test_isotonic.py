"""Isotonic regression of counted voxels, against scikit-learn on the voxels themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from lib.calibration.isotonic import Isotonic, IsotonicCalibration, RisingCurve, fit_rising_curve
from lib.calibration.member_outputs import MemberOutputs
from lib.calibration.statistics.probability_counts import ReliabilityCounts, count_probabilities
from lib.calibration.statistics.thresholds import FAINTEST
from tests.lib.calibration.samples import draw_samples


def test_the_curve_is_that_of_an_isotonic_regression_on_the_voxels() -> None:
    samples = draw_samples(0, count=40_000)
    p, y = samples.softmax[1], samples.truth
    seen = p >= FAINTEST
    expected = IsotonicRegression(out_of_bounds="clip").fit(p[seen], y[seen])
    (curve,) = Isotonic().fit(samples.statistics).curves
    assert curve is not None
    difference = np.abs(curve(p[seen]) - expected.predict(p[seen]))
    assert difference.mean() < 0.003
    # A step may lie anywhere in its bin.
    assert np.quantile(difference, 0.99) < 0.03


def test_equal_probabilities_take_their_share_of_foreground() -> None:
    p = np.repeat([0.2, 0.5, 0.8], [10, 20, 10])
    truth = np.arange(40) % 10 < np.repeat([1, 4, 9], [10, 20, 10])
    curve = fit_rising_curve(count_probabilities(p, truth))
    assert curve is not None
    np.testing.assert_allclose(curve(np.array([0.01, 0.2, 0.35, 0.5, 0.8, 1])), [0.1, 0.1, 0.25, 0.4, 0.9, 0.9])


@given(st.lists(st.tuples(st.floats(FAINTEST, 1), st.booleans()), min_size=1, max_size=60))
def test_any_fit_rises_within_0_and_1_and_keeps_the_number_of_foreground_voxels(
    voxels: list[tuple[float, bool]],
) -> None:
    p, truth = np.array([p for p, _ in voxels]), np.array([y for _, y in voxels])
    counts = count_probabilities(p, truth)
    curve = fit_rising_curve(counts)
    assert curve is not None
    h = curve(np.linspace(0, 1, 501))
    assert (np.diff(h) >= 0).all()
    assert h.min() >= 0
    assert h.max() <= 1
    filled = counts.voxels > 0
    places = counts.heat[filled] / counts.voxels[filled]
    assert (curve(places) * counts.voxels[filled]).sum() == pytest.approx(truth.sum(), abs=1e-6)


def test_a_class_without_voxels_is_zero_in_the_heatmap() -> None:
    assert fit_rising_curve(ReliabilityCounts.zeros()) is None
    softmax = np.full((2, 3, 4), 1 / 3, np.float32)
    outputs = MemberOutputs(np.zeros((2, 1, 4), np.uint8), softmax)
    h = IsotonicCalibration(curves=(RisingCurve(softmax=(0.2,), probability=(0.6,)), None)).heatmap(outputs)
    np.testing.assert_allclose(h, [[0.6] * 4, [0] * 4], rtol=1e-6)
