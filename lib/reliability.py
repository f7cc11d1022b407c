"""How far probabilities are from the frequencies that they promise, from counts that add up over scans."""

from dataclasses import dataclass
from typing import Self

import numpy as np

BINS = 10_000
"""Bins of equal width in which probabilities are counted."""

ERROR_BINS = 20
"""Bins of equal width by which calibration errors are defined, as in MONAI's `CalibrationErrorMetric`."""


@dataclass(frozen=True, eq=False)
class ReliabilityCounts:
    """All that is kept of the probabilities of some voxels; those of several scans are added up.

    Calibration errors are exact: the errors' bins are unions of these, and each of these holds the sum of
    its probabilities. Curves place a voxel at the mean of its bin, at most 1 / `BINS` away.

    Attributes:
        voxels: int64 (BINS,), voxels with a probability in the bin.
        foreground: int64 (BINS,), how many of them are foreground.
        heat: float64 (BINS,), sum of their probabilities.
        squared_error: sum over all voxels of the squared difference of probability and truth.
    """

    voxels: np.ndarray
    foreground: np.ndarray
    heat: np.ndarray
    squared_error: float

    @classmethod
    def zeros(cls) -> Self:
        """Counts of no voxel, to start a sum with."""
        return cls(np.zeros(BINS, np.int64), np.zeros(BINS, np.int64), np.zeros(BINS), 0.0)

    def __add__(self, other: "ReliabilityCounts") -> "ReliabilityCounts":
        return ReliabilityCounts(
            self.voxels + other.voxels,
            self.foreground + other.foreground,
            self.heat + other.heat,
            self.squared_error + other.squared_error,
        )

    def __sub__(self, other: "ReliabilityCounts") -> "ReliabilityCounts":
        voxels = self.voxels - other.voxels
        return ReliabilityCounts(
            voxels,
            self.foreground - other.foreground,
            # An empty bin holds no heat, whatever the last digit of the difference says.
            np.where(voxels > 0, self.heat - other.heat, 0.0),
            self.squared_error - other.squared_error,
        )

    def in_error_bins(self) -> np.ndarray:
        """Voxels, foreground and heat in the bins of the calibration errors, float64 (3, ERROR_BINS)."""
        counts = np.stack([self.voxels, self.foreground, self.heat])
        return counts.reshape(3, ERROR_BINS, -1).sum(axis=2)


def count_probabilities(probability: np.ndarray, truth: np.ndarray) -> ReliabilityCounts:
    """Count the probabilities of some voxels.

    Args:
        probability: 0..1, shape (n,); n may be 0.
        truth: bool, shape (n,), True where the voxel is foreground.

    Raises:
        ValueError: shapes that differ, or a probability outside 0..1.
    """
    if probability.ndim != 1 or probability.shape != truth.shape:
        raise ValueError(f"probabilities have shape {probability.shape}, truth {truth.shape}; give both as (n,)")
    p = probability.astype(np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities must be numbers from 0 to 1")
    bins = np.minimum((p * BINS).astype(np.intp), BINS - 1)
    return ReliabilityCounts(
        voxels=np.bincount(bins, minlength=BINS),
        foreground=np.bincount(bins[truth.astype(bool)], minlength=BINS),
        # NumPy sums nothing to whole numbers.
        heat=np.bincount(bins, p, minlength=BINS).astype(np.float64),
        squared_error=float(np.square(p - truth).sum()),
    )


def calibration_errors(in_bins: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expected, average and maximum calibration error (ECE, ACE, MCE).

    Each compares, in every bin that holds voxels, the mean probability with the share of foreground.
    ECE weights the differences by the voxels, ACE weights all bins alike, MCE is the largest.

    Args:
        in_bins: voxels, foreground and heat, shape (..., 3, bins); see `ReliabilityCounts.in_error_bins`.

    Returns:
        Three arrays of shape (...), 0..1, NaN where there are no voxels.
    """
    voxels, foreground, heat = np.moveaxis(in_bins, -2, 0)
    difference = np.abs(heat - foreground)
    filled = voxels > 0
    gap = np.divide(difference, voxels, out=np.zeros_like(difference), where=filled)
    with np.errstate(invalid="ignore"):
        expected = difference.sum(axis=-1) / voxels.sum(axis=-1)
        average = gap.sum(axis=-1) / filled.sum(axis=-1)
    maximum = np.where(filled.any(axis=-1), gap.max(axis=-1), np.nan)
    return expected, average, maximum


def parzen_curve(counts: ReliabilityCounts, *, half_width: float = 0.05, points: int = 101) -> np.ndarray:
    """Reliability curve by Parzen windows with a linear kernel, as in the paper's calibration figures.

    A window is a triangle of this half width around each of the points. Its abscissa is the weighted mean of the
    probabilities in it rather than its centre, so that perfect probabilities lie on the diagonal also
    where voxels crowd at one side of the window.

    Args:
        counts: of any voxels.
        half_width: distance at which a voxel's weight reaches 0.
        points: windows, with centres evenly from 0 to 1.

    Returns:
        float64 (m, 3), m <= points: mean probability, share of foreground, and weight in voxels of each
        window that holds any, in ascending order.
    """
    filled = counts.voxels > 0
    place = counts.heat[filled] / counts.voxels[filled]
    distance = np.abs(np.linspace(0, 1, points)[:, None] - place)
    kernel = np.maximum(0, 1 - distance / half_width)
    weight = kernel @ counts.voxels[filled]
    sums = np.stack([kernel @ counts.heat[filled], kernel @ counts.foreground[filled], weight], axis=1)
    sums = sums[weight > 0]
    return np.column_stack([sums[:, :2] / sums[:, 2:], sums[:, 2]])


def equal_mass_curve(counts: ReliabilityCounts, *, bins: int = 15) -> np.ndarray:
    """Reliability curve by bins that hold about equally many voxels.

    Voxels whose probabilities share a fine bin are never parted, so that a probability which many voxels
    share makes a larger bin, and there may be fewer bins than asked for.

    Args:
        counts: of any voxels.
        bins: most bins.

    Returns:
        float64 (m, 3), m <= bins: mean probability, share of foreground, and voxels of each bin, in
        ascending order.
    """
    filled = np.flatnonzero(counts.voxels)
    if not filled.size:
        return np.zeros((0, 3))
    voxels = counts.voxels[filled]
    # The bin that the middle voxel of a fine bin falls into.
    middle = (np.cumsum(voxels) - voxels / 2) / voxels.sum()
    group = np.minimum((middle * bins).astype(np.intp), bins - 1)
    _, group = np.unique(group, return_inverse=True)
    total, foreground, heat = (
        np.bincount(group, values[filled]) for values in (counts.voxels, counts.foreground, counts.heat)
    )
    return np.column_stack([heat / total, foreground / total, total])
