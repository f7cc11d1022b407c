"""Calibration errors and curves against MONAI, scikit-learn and loops over voxels."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monai.metrics import CalibrationErrorMetric
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from lib.calibration.statistics.probability_counts import ERROR_BINS, ReliabilityCounts, count_probabilities
from lib.metrics.calibration_error import calibration_errors, equal_mass_curve, parzen_curve


def voxels(count: int = 5_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, most of them low, and a truth that is more often foreground than they say."""
    rng = np.random.default_rng(seed)
    probability = rng.beta(0.5, 1.5, count)
    return probability, rng.random(count) < np.sqrt(probability)


@pytest.mark.parametrize(("position", "reduction"), enumerate(("expected", "average", "maximum")))
def test_calibration_errors_are_those_of_monai(position: int, reduction: str) -> None:
    probability, truth = voxels()
    metric = CalibrationErrorMetric(num_bins=ERROR_BINS, calibration_reduction=reduction)
    metric(torch.from_numpy(probability)[None, None], torch.from_numpy(truth)[None, None].float())
    errors = calibration_errors(count_probabilities(probability, truth).in_error_bins())
    assert errors[position] == pytest.approx(float(metric.aggregate()), abs=1e-5)


def test_the_squared_error_is_scikit_learns_brier_score() -> None:
    probability, truth = voxels()
    counts = count_probabilities(probability, truth)
    assert counts.squared_error / counts.voxels.sum() == pytest.approx(brier_score_loss(truth, probability))


@given(st.integers(1, 400), st.integers(0, 10))
def test_counts_of_parts_add_up_to_those_of_the_whole(split: int, seed: int) -> None:
    probability, truth = voxels(400, seed)
    whole = count_probabilities(probability, truth)
    sum_of_parts = (
        count_probabilities(probability[:split], truth[:split])
        + count_probabilities(probability[split:], truth[split:])
        + ReliabilityCounts.zeros()
    )
    for part in ("voxels", "foreground", "heat"):
        np.testing.assert_allclose(getattr(sum_of_parts, part), getattr(whole, part), atol=1e-12)
    assert sum_of_parts.squared_error == pytest.approx(whole.squared_error)


@given(hnp.arrays(np.float32, st.integers(0, 50), elements=st.floats(0, 1, width=32)), st.integers(0, 99))
def test_errors_lie_between_0_and_1_in_order(probability: np.ndarray, seed: int) -> None:
    truth = np.random.default_rng(seed).random(len(probability)) < 0.5
    expected, average, maximum = calibration_errors(count_probabilities(probability, truth).in_error_bins())
    if not probability.size:
        assert np.isnan([expected, average, maximum]).all()
    else:
        assert 0 <= expected <= maximum + 1e-12
        assert 0 <= average <= maximum + 1e-12
        assert maximum <= 1


def test_a_single_voxel_is_as_wrong_as_its_probability() -> None:
    errors = calibration_errors(count_probabilities(np.array([0.3]), np.array([True])).in_error_bins())
    np.testing.assert_allclose(errors, 0.7)


def test_probabilities_of_0_and_1_that_come_true_have_no_error() -> None:
    truth = np.array([False, True, True])
    errors = calibration_errors(count_probabilities(truth.astype(np.float32), truth).in_error_bins())
    np.testing.assert_array_equal(errors, 0)


@pytest.mark.parametrize(
    ("probability", "truth"),
    [
        (np.array([0.5, np.nan]), np.array([True, True])),
        (np.array([1.1]), np.array([True])),
        (np.array([-0.1]), np.array([False])),
        (np.array([0.5]), np.array([True, False])),
        (np.array([[0.5]]), np.array([[True]])),
    ],
)
def test_what_are_no_probabilities_is_refused(probability: np.ndarray, truth: np.ndarray) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        count_probabilities(probability, truth)


def test_equal_mass_bins_are_scikit_learns_quantiles() -> None:
    probability, truth = voxels(6_000)
    prevalence, mean = calibration_curve(truth, probability, n_bins=15, strategy="quantile")
    curve = equal_mass_curve(count_probabilities(probability, truth), bins=15)
    assert len(curve) == 15
    # Quantiles part voxels of one fine bin, of which each holds about one in a thousand.
    np.testing.assert_allclose(curve[:, 0], mean, atol=0.01)
    np.testing.assert_allclose(curve[:, 1], prevalence, atol=0.02)
    np.testing.assert_allclose(curve[:, 2], 400, rtol=0.2)


def test_equal_mass_bins_hold_every_voxel_once() -> None:
    probability, truth = voxels(1_000)
    probability[:600] = 0  # more than a bin's share of equal probabilities stays together
    curve = equal_mass_curve(count_probabilities(probability, truth), bins=10)
    assert curve[:, 2].sum() == 1_000
    assert curve[0, 2] >= 600
    assert (np.diff(curve[:, 0]) > 0).all()
    assert (curve[:, 1] * curve[:, 2]).sum() == pytest.approx(truth.sum())


def test_a_parzen_window_weights_voxels_by_their_distance() -> None:
    probability, truth = voxels(800)
    curve = parzen_curve(count_probabilities(probability, truth), half_width=0.1, points=11)
    expected = []
    for centre in np.arange(11) / 10:
        weights = [max(0.0, 1 - abs(p - centre) / 0.1) for p in probability]
        total = sum(weights)
        expected.append(
            (
                sum(w * p for w, p in zip(weights, probability, strict=True)) / total,
                sum(w * t for w, t in zip(weights, truth, strict=True)) / total,
                total,
            )
        )
    np.testing.assert_allclose(curve, expected, rtol=2e-3, atol=2e-3)


def test_perfect_probabilities_lie_on_the_diagonal() -> None:
    rng = np.random.default_rng(1)
    probability = rng.beta(0.3, 2, 200_000)
    counts = count_probabilities(probability, rng.random(200_000) < probability)
    for curve in (parzen_curve(counts), equal_mass_curve(counts)):
        many = curve[curve[:, 2] > 2_000]
        np.testing.assert_allclose(many[:, 1], many[:, 0], atol=0.05)


def test_no_voxels_make_no_curve() -> None:
    assert parzen_curve(ReliabilityCounts.zeros()).shape == (0, 3)
    assert equal_mass_curve(ReliabilityCounts.zeros()).shape == (0, 3)
