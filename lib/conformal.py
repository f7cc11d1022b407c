"""Intervals around an estimate that hold the truth with a promised frequency (split-conformal prediction)."""

import math

import numpy as np


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
    # Rounded first: 0.9 * 10 must not become 10 by its last digit.
    rank = math.ceil(round((len(errors) + 1) * coverage, 9))
    return float(np.sort(np.abs(errors))[rank - 1]) if rank <= len(errors) else math.inf
