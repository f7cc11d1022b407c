"""What all calibrations of the softmax at w^DSC have in common: one network a fold is all that they need."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lib.calibration.base import Calibration
from lib.calibration.member_outputs import MemberOutputs
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics
from lib.calibration.statistics.probability_counts import ReliabilityCounts, count_groups
from lib.calibration.statistics.thresholds import FAINTEST


class SoftmaxCurves(Calibration):
    """Each fold's softmax at w^DSC on a curve of its class, then the mean of the folds.

    Attributes:
        curves: one for each class, from softmax (n,) to probabilities (n,), both 0..1; None where no voxel tells.
    """

    curves: tuple[Any, ...]

    @property
    def rises(self) -> tuple[bool, ...]:
        """Whether the curve of the class ends above where it begins."""
        ends = np.array([FAINTEST, 1.0])
        return tuple(curve is not None and bool(np.diff(curve(ends))[0] > 0) for curve in self.curves)

    def heatmap(self, outputs: MemberOutputs) -> np.ndarray:
        """Probabilities from the softmax of one scan, see `map_softmax`."""
        return map_softmax(outputs.softmax, self.curves)

    def reliability(self, statistics: OutOfFoldStatistics) -> tuple[ReliabilityCounts, ...]:
        """Counts from the softmax at w^DSC, a bin of which has one probability."""
        return tuple(map(_on_curve, self.curves, statistics.softmax))


def _on_curve(curve: Callable[[np.ndarray], np.ndarray] | None, counts: ReliabilityCounts) -> ReliabilityCounts:
    filled = np.flatnonzero(counts.voxels)
    if curve is None or not filled.size:
        return ReliabilityCounts.zeros()
    voxels = counts.voxels[filled]
    probability = np.clip(curve(counts.heat[filled] / voxels), 0.0, 1.0)
    return count_groups(probability, voxels, counts.foreground[filled])


def map_softmax(softmax: np.ndarray, curves: Sequence[Callable[[np.ndarray], np.ndarray] | None]) -> np.ndarray:
    """Put the softmax of each fold on a curve of its class, and average over the folds.

    A fold that gives a class less than `FAINTEST` adds 0 there: the curves were not fitted to so little.

    Args:
        softmax: of F folds, background first, 0..1, shape (F, C + 1, *grid).
        curves: for each foreground class, from softmax (n,) to probabilities (n,); None makes the class 0.

    Returns:
        Probability of each foreground class, float32 in [0, 1], shape (C, *grid).

    Raises:
        ValueError: there is not one curve for each foreground class.
    """
    folds, classes, *grid = softmax.shape
    if classes != len(curves) + 1:
        raise ValueError(
            f"softmax has shape {softmax.shape}; {len(curves)} curves need (folds, {len(curves) + 1}, *grid)"
        )
    heatmap = np.zeros((len(curves), *grid), np.float32)
    for index, curve in enumerate(curves):
        if curve is None:
            continue
        for fold in softmax[:, index + 1]:
            places = fold >= FAINTEST
            heatmap[index][places] += curve(fold[places]) / folds
    return np.minimum(heatmap, 1, out=heatmap)
