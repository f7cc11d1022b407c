"""Intervals around an estimate that hold the truth with a promised frequency (split-conformal prediction)."""

import math

import numpy as np
from scipy.stats import betabinom


def conformal_half_width(errors: np.ndarray, *, coverage: float) -> float:
    """Half width of an interval around an estimate, from the errors of other estimates.

    If a new scan is exchangeable with those of `errors`, its truth lies within the half width of its
    estimate with at least this probability, whatever the distribution of the errors. It is their
    ceil((n + 1) coverage)-th smallest absolute value.

    Args:
        errors: estimate minus truth of n scans that are like the new one, shape (n,).
        coverage: promised frequency, above 0 and below 1.

    Returns:
        At least 0; infinite where n is too small to promise anything, as below 9 scans for 90 %.

    Raises:
        ValueError: a coverage outside its range.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage is {coverage}; give a number between 0 and 1, such as 0.9")
    rank = _rank(len(errors), coverage)
    return float(np.sort(np.abs(errors))[rank - 1]) if rank <= len(errors) else math.inf


def coverage_range(known: int, judged: int, *, coverage: float) -> tuple[float, float] | None:
    """Within which range a measured coverage lies by chance, in 95 of 100 cases, when intervals keep their promise.

    With exchangeable scans and errors without ties, the coverage of an interval from n known errors follows
    Beta(k, n + 1 - k), k being the rank that `conformal_half_width` takes, and the number of m judged scans
    that it holds a beta-binomial distribution.

    Args:
        known: n, scans that gave the half width.
        judged: m, scans that the coverage is measured on, at least 1.
        coverage: promised frequency, above 0 and below 1.

    Returns:
        Lowest and highest share, 0..1; None where n is too small to promise anything.
    """
    rank = _rank(known, coverage)
    if rank > known:
        return None
    low, high = betabinom(judged, rank, known + 1 - rank).ppf([0.025, 0.975]) / judged
    return float(low), float(high)


def _rank(errors: int, coverage: float) -> int:
    # Rounded first: 0.9 * 10 must not become 10 by its last digit.
    return math.ceil(round((errors + 1) * coverage, 9))
