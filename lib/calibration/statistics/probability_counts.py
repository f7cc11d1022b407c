"""Counts of probabilities that add up over scans."""

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


def count_groups(probability: np.ndarray, voxels: np.ndarray, foreground: np.ndarray) -> ReliabilityCounts:
    """Count groups of voxels that share a probability.

    Args:
        probability: 0..1, shape (n,); groups with 0 are left out.
        voxels: int64 (n,), voxels of each group.
        foreground: int64 (n,), how many of them are foreground.
    """
    some = (probability > 0) & (voxels > 0)
    p, n, g = probability[some].astype(np.float64), voxels[some], foreground[some]
    bins = np.minimum((p * BINS).astype(np.intp), BINS - 1)
    return ReliabilityCounts(
        voxels=np.bincount(bins, n, minlength=BINS).astype(np.int64),
        foreground=np.bincount(bins, g, minlength=BINS).astype(np.int64),
        heat=np.bincount(bins, p * n, minlength=BINS).astype(np.float64),
        squared_error=float((g * (1 - p) ** 2 + (n - g) * p**2).sum()),
    )


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
