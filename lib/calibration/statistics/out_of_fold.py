"""What calibrations are fitted to: sums over labelled scans, each predicted by members that have not seen it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from lib.calibration.statistics.probability_counts import BINS, ReliabilityCounts, count_probabilities
from lib.calibration.statistics.soft_moments import SoftMoments, sum_moments
from lib.calibration.statistics.thresholds import FAINTEST
from lib.calibration.statistics.vote_patterns import PatternCounts, count_patterns


@dataclass(frozen=True, eq=False)
class OutOfFoldStatistics:
    """Statistics of scans for C classes and K loss weights; those of several scans are added up.

    Attributes:
        patterns: counts of the vote patterns.
        softmax: for each class, the softmax at w^DSC where it is at least `thresholds.FAINTEST`.
        moments: of the softmax of all K members.
    """

    patterns: PatternCounts
    softmax: tuple[ReliabilityCounts, ...]
    moments: SoftMoments

    @classmethod
    def zeros(cls, classes: int, members: int) -> Self:
        """Statistics of no scan at all, to start a sum with."""
        return cls(
            PatternCounts.zeros(classes, members),
            tuple(ReliabilityCounts.zeros() for _ in range(classes)),
            SoftMoments.zeros(classes, members),
        )

    def __add__(self, other: "OutOfFoldStatistics") -> "OutOfFoldStatistics":
        return OutOfFoldStatistics(
            self.patterns + other.patterns,
            tuple(one + another for one, another in zip(self.softmax, other.softmax, strict=True)),
            self.moments + other.moments,
        )

    def __sub__(self, other: "OutOfFoldStatistics") -> "OutOfFoldStatistics":
        """Take out a scan that was added before."""
        return OutOfFoldStatistics(
            self.patterns - other.patterns,
            tuple(one - another for one, another in zip(self.softmax, other.softmax, strict=True)),
            self.moments - other.moments,
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Arrays for `numpy.savez_compressed`; nearly all of them are zeros."""
        arrays = {f"patterns_{name}": array for name, array in self.patterns.to_arrays().items()}
        for field in fields(ReliabilityCounts):
            arrays[f"softmax_{field.name}"] = np.stack([getattr(counts, field.name) for counts in self.softmax])
        return arrays | {f"moments_{name}": array for name, array in self.moments.to_arrays().items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Statistics from what `to_arrays` gave.

        Raises:
            KeyError: an array is missing.
            ValueError: an array is not such statistics.
        """
        columns = [arrays[f"softmax_{field.name}"] for field in fields(ReliabilityCounts)]
        if any(column.shape[1:] != (BINS,) for column in columns[:3]):
            raise ValueError(f"softmax counts have shape {columns[0].shape}; give (classes, {BINS})")
        return cls(
            PatternCounts.from_arrays(_below(arrays, "patterns_")),
            tuple(
                ReliabilityCounts(voxels, foreground, heat, float(squared_error))
                for voxels, foreground, heat, squared_error in zip(*columns, strict=True)
            ),
            SoftMoments.from_arrays(_below(arrays, "moments_")),
        )


def reduce_outputs(
    softmax: np.ndarray,
    segmentations: np.ndarray,
    label: np.ndarray,
    *,
    served: int,
    region: np.ndarray | None = None,
) -> OutOfFoldStatistics:
    """Reduce what the members at K loss weights make of one scan to its statistics.

    Args:
        softmax: foreground classes, float32 (K, C, x, y, z), 0..1.
        segmentations: class indices, uint8 (K, x, y, z).
        label: class indices, uint8 (x, y, z).
        served: which of the K is w^DSC.
        region: bool (x, y, z); voxels where it is False count for nothing. None counts all.
    """
    classes = softmax.shape[1]
    patterns = count_patterns(segmentations, label, class_count=classes, region=region)
    inside = softmax.reshape(*softmax.shape[:2], -1) if region is None else softmax[:, :, region]
    truth = label.ravel() if region is None else label[region]
    counts = []
    for index, p in enumerate(inside[served], 1):
        places = np.flatnonzero(p >= FAINTEST)
        counts.append(count_probabilities(p[places], truth[places] == index))
    return OutOfFoldStatistics(patterns, tuple(counts), sum_moments(inside, truth))


def _below(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
