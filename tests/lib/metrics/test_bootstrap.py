"""Intervals against SciPy's bootstrap."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from lib.metrics.bootstrap import FEWEST, figure, resample_scans, scan_weights


def test_the_interval_of_a_mean_is_scipys() -> None:
    values = np.random.default_rng(3).beta(5, 2, 60)
    ours = figure(values[resample_scans(60, resamples=4_000)].mean(axis=1), count=60)
    scipys = bootstrap((values,), np.mean, n_resamples=4_000, method="percentile", rng=1).confidence_interval
    assert ours["value"] == pytest.approx(values.mean())
    assert ours["low"] == pytest.approx(scipys.low, abs=0.004)
    assert ours["high"] == pytest.approx(scipys.high, abs=0.004)


def test_the_interval_of_a_ratio_of_sums_is_scipys() -> None:
    rng = np.random.default_rng(4)
    right, all_of_them = rng.integers(1, 50, 40), rng.integers(50, 90, 40)
    weights = scan_weights(resample_scans(40, resamples=4_000))
    ours = figure(weights @ right / (weights @ all_of_them), count=len(right))
    scipys = bootstrap(
        (right, all_of_them),
        lambda some, total, axis: some.sum(axis=axis) / total.sum(axis=axis),
        paired=True,
        n_resamples=4_000,
        method="percentile",
        rng=1,
    ).confidence_interval
    assert ours["low"] == pytest.approx(scipys.low, abs=0.01)
    assert ours["high"] == pytest.approx(scipys.high, abs=0.01)


def test_the_first_row_is_the_scans_as_they_are_and_the_others_repeat() -> None:
    indices = resample_scans(7)
    np.testing.assert_array_equal(indices[0], np.arange(7))
    np.testing.assert_array_equal(indices, resample_scans(7))
    assert len(np.unique(indices[1:], axis=0)) > 900


def test_weights_count_how_often_a_scan_was_drawn() -> None:
    np.testing.assert_array_equal(scan_weights(np.array([[0, 1, 2], [2, 2, 0]])), [[1, 1, 1], [1, 0, 2]])


@pytest.mark.parametrize("count", [1, 5])
def test_a_few_scans_have_no_interval_and_one_more_has(count: int) -> None:
    values = np.linspace(0.1, 0.9, count + 1)
    alone = figure(values[:-1][resample_scans(count)].mean(axis=1), count=count)
    assert alone == {"value": pytest.approx(values[:-1].mean()), "low": None, "high": None}
    six = np.linspace(0.1, 0.9, FEWEST)
    low, high = (figure(six[resample_scans(FEWEST)].mean(axis=1), count=FEWEST)[key] for key in ("low", "high"))
    assert low is not None
    assert high is not None
    assert low < six.mean() < high


def test_a_mean_of_absolute_gaps_lies_in_its_interval_which_reaches_what_it_would_be_without_noise() -> None:
    """Thirty fair coins a scan, twenty bins: the gap to a half is noise alone, and drawing scans again adds to it."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(40):
        heads = rng.binomial(30, 0.5, (60, 20))
        gaps = np.abs(np.einsum("rs,sb->rb", scan_weights(resample_scans(60)), heads) / 1_800 - 0.5).mean(axis=1)
        plain, found = figure(gaps, count=60), figure(gaps, count=60, grows=True)
        assert found["low"] <= found["value"] <= found["high"]
        held += found["low"] < plain["low"]
    assert held == 40


def test_resamples_without_a_value_are_left_out() -> None:
    assert figure(np.array([0.5, 0.4, np.nan, 0.4]), count=9) == {"value": 0.5, "low": 0.4, "high": 0.4}
    nothing = {"value": None, "low": None, "high": None}
    assert figure(np.array([np.nan, 0.4]), count=9) == nothing
    assert figure(np.array([0.5, np.nan]), count=9) == nothing
