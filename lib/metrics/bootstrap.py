"""Intervals of a figure by drawing scans again, with replacement."""

import numpy as np

RESAMPLES = 1_000
_SEED = 0
_PERCENTILES = (2.5, 97.5)

FEWEST = 6
"""Scans below which there are no intervals: with fewer, differences of one sign alone are no evidence at 5 %."""

Figure = dict[str, float | None]
"""A figure with its 95 % interval: `value`, `low` and `high`, each None where it is not defined."""


def resample_scans(count: int, *, resamples: int = RESAMPLES) -> np.ndarray:
    """Draw as many scans as there are, many times over; the same for every figure, so that they can be paired.

    Args:
        count: number of scans, at least 1.
        resamples: how many times.

    Returns:
        Indices of scans, int64 (1 + resamples, count). Row 0 is the scans as they are.
    """
    drawn = np.random.default_rng(_SEED).integers(0, count, (resamples, count))
    return np.vstack([np.arange(count), drawn])


def scan_weights(indices: np.ndarray) -> np.ndarray:
    """How often each scan was drawn: float64, shape of `indices` from `resample_scans`.

    The product with a matrix of one row per scan gives the sums over each resample.
    """
    resamples, count = indices.shape
    flat = (indices + np.arange(resamples)[:, None] * count).ravel()
    return np.bincount(flat, minlength=resamples * count).reshape(resamples, count).astype(np.float64)


def figure(values: np.ndarray, *, count: int, grows: bool = False) -> Figure:
    """Give a figure with its interval.

    Args:
        values: the figure of the scans as they are, then that of each resample, shape (1 + R,). NaN
            where it is not defined, as for the correlation of a resample that drew one scan only.
        count: scans that were drawn from.
        grows: whether drawing scans again adds to the figure, as to a mean of absolute gaps; at least 0 then.

    Returns:
        The value, and the 2.5th and 97.5th percentile of the resamples that have one. Where the figure
        grows, these are reflected at the value (the basic bootstrap), and the interval holds the value.
        Fewer scans than `FEWEST` give no interval.
    """
    value, resampled = values[0], values[1:]
    defined = resampled[np.isfinite(resampled)]
    if not np.isfinite(value) or not defined.size:
        return {"value": None, "low": None, "high": None}
    if count < FEWEST:
        return {"value": float(value), "low": None, "high": None}
    low, high = np.percentile(defined, _PERCENTILES)
    if grows:
        low, high = max(0.0, min(value, 2 * value - high)), max(value, 2 * value - low)
    return {"value": float(value), "low": float(low), "high": float(high)}
