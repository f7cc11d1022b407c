"""What more labels are expected to bring, against curves that are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from lib.metrics.learning_curve import FEWEST, forecast_dice

LABELS = np.array([8, 12, 16, 24, 32, 48])


def test_a_curve_without_noise_is_read_off_exactly() -> None:
    dice = 0.9 - 0.8 * LABELS**-0.5
    forecasts = forecast_dice(LABELS, dice, np.array([96, 200]))
    assert forecasts is not None
    for forecast in forecasts:
        expected = 0.9 - 0.8 * forecast.labels**-0.5
        assert forecast.dice == pytest.approx(expected, abs=1e-6)
        assert forecast.high - forecast.low < 1e-5


def test_a_noisy_curve_is_fitted_as_scipy_fits_it() -> None:
    rng = np.random.default_rng(3)
    dice = 0.85 - 1.2 * LABELS**-0.8 + rng.normal(scale=0.003, size=len(LABELS))

    def curve(n: np.ndarray, ceiling: float, gap: float, exponent: float) -> np.ndarray:
        return ceiling - gap * n**-exponent

    parameters, _ = curve_fit(curve, LABELS.astype(float), dice, p0=(0.8, 1, 0.5), bounds=([0, 0, 0.1], [1, 10, 2]))
    forecasts = forecast_dice(LABELS, dice, np.array([64]))
    assert forecasts is not None
    assert forecasts[0].dice == pytest.approx(float(curve(np.array([64.0]), *parameters)[0]), abs=1e-3)
    assert forecasts[0].low < forecasts[0].dice < forecasts[0].high


def test_it_is_too_early_with_fewer_than_four_numbers_of_labels() -> None:
    labels = np.array([8, 8, 8, 12, 16])
    assert len(set(labels)) < FEWEST
    assert forecast_dice(labels, np.full(5, 0.5), np.array([32])) is None
    assert forecast_dice(np.array([]), np.array([]), np.array([32])) is None


@given(st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_whatever_was_reached_a_forecast_is_a_dsc_that_more_labels_do_not_lower(dice: list[float]) -> None:
    forecasts = forecast_dice(LABELS, np.array(dice), np.array([64, 128, 1000]))
    assert forecasts is not None
    values = [forecast.dice for forecast in forecasts]
    assert values == sorted(values)
    assert all(0 <= one.low <= one.dice <= one.high <= 1 for one in forecasts)


@pytest.mark.parametrize(
    ("labels", "dice"), [([1, 2], [0.5]), ([0, 1, 2, 3], [0.1] * 4), ([1, 2, 3, 4], [0.1, 0.2, 0.3, np.nan])]
)
def test_what_is_no_learning_curve_is_refused(labels: list[int], dice: list[float]) -> None:
    with pytest.raises(ValueError, match="give"):
        forecast_dice(np.array(labels), np.array(dice), np.array([8]))
