"""Half widths whose promise is kept, by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.quality.conformal import conformal_half_width, coverage_range


@pytest.mark.parametrize("draw", ["standard_normal", "standard_exponential", "standard_cauchy"])
def test_intervals_hold_the_truth_as_often_as_promised_whatever_the_errors(draw: str) -> None:
    rng = np.random.default_rng(0)
    errors = getattr(rng, draw)((4_000, 20))
    widths = np.array([conformal_half_width(known, coverage=0.9) for known in errors[:, :19]])
    # With 19 errors the promise is exact: the 18th of 20 exchangeable ones.
    assert (np.abs(errors[:, 19]) <= widths).mean() == pytest.approx(0.9, abs=0.015)


def test_few_errors_promise_nothing_and_one_more_does() -> None:
    assert conformal_half_width(np.arange(8.0), coverage=0.9) == np.inf
    assert conformal_half_width(np.arange(9.0), coverage=0.9) == 8
    assert conformal_half_width(np.zeros(0), coverage=0.5) == np.inf


@given(st.integers(1, 200), st.integers(0, 5))
def test_at_least_the_promised_share_of_the_errors_lies_within(count: int, seed: int) -> None:
    errors = np.random.default_rng(seed).normal(size=count)
    width = conformal_half_width(errors, coverage=0.8)
    assert (np.abs(errors) <= width).sum() >= 0.8 * count
    assert width == conformal_half_width(-errors, coverage=0.8)


@pytest.mark.parametrize("coverage", [0, 1, 90])
def test_a_coverage_that_is_no_frequency_is_refused(coverage: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        conformal_half_width(np.ones(20), coverage=coverage)


@pytest.mark.parametrize(("known", "judged"), [(24, 46), (120, 60)])
def test_the_range_of_chance_is_where_nineteen_of_twenty_coverages_lie(known: int, judged: int) -> None:
    rng = np.random.default_rng(0)
    errors = np.abs(rng.standard_normal((4_000, known + judged)))
    widths = np.array([conformal_half_width(one, coverage=0.9) for one in errors[:, :known]])
    measured = (errors[:, known:] <= widths[:, None]).mean(axis=1)
    found = coverage_range(known, judged, coverage=0.9)
    assert found is not None
    low, high = found
    assert 0.94 <= ((measured >= low) & (measured <= high)).mean() <= 0.985
    assert (measured < low).mean() < 0.03
    assert (measured > high).mean() < 0.03


def test_too_few_errors_have_no_range() -> None:
    assert coverage_range(8, 10, coverage=0.9) is None
    assert coverage_range(0, 10, coverage=0.9) is None
