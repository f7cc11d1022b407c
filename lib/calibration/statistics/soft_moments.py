"""Moments of the members' softmax: all that least squares on it needs of a scan."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from lib.calibration.statistics.thresholds import FAINTEST


@dataclass(frozen=True, eq=False)
class SoftMoments:
    """Sums over the voxels where any of K members gives the class at least `FAINTEST`.

    With p the members' softmax of a class and y whether the label is of the class:

    Attributes:
        products: sum of p p^T, float64 (C, K, K).
        matches: sum of p y, float64 (C, K).
        foreground: sum of y, int64 (C,).
    """

    products: np.ndarray
    matches: np.ndarray
    foreground: np.ndarray

    @classmethod
    def zeros(cls, classes: int, members: int) -> Self:
        """Moments of no scan at all, to start a sum with."""
        return cls(
            np.zeros((classes, members, members)), np.zeros((classes, members)), np.zeros(classes, dtype=np.int64)
        )

    def __add__(self, other: "SoftMoments") -> "SoftMoments":
        return SoftMoments(
            self.products + other.products, self.matches + other.matches, self.foreground + other.foreground
        )

    def __sub__(self, other: "SoftMoments") -> "SoftMoments":
        return SoftMoments(
            self.products - other.products, self.matches - other.matches, self.foreground - other.foreground
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Arrays for `numpy.savez`."""
        return {"products": self.products, "matches": self.matches, "foreground": self.foreground}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Moments from what `to_arrays` gave.

        Raises:
            KeyError: an array is missing.
            ValueError: the shapes do not fit each other.
        """
        products, matches, foreground = (arrays[name] for name in ("products", "matches", "foreground"))
        if foreground.ndim != 1 or matches.ndim != 2 or products.shape != (*matches.shape, matches.shape[-1]):
            raise ValueError(f"soft moments have shapes {products.shape}, {matches.shape} and {foreground.shape}")
        return cls(products, matches, foreground)


def sum_moments(softmax: np.ndarray, truth: np.ndarray) -> SoftMoments:
    """Moments of some voxels.

    Args:
        softmax: of K members for C classes, 0..1, shape (K, C, n).
        truth: class indices 0..C of the label, shape (n,).
    """
    members, classes, _ = softmax.shape
    moments = SoftMoments.zeros(classes, members)
    for index in range(classes):
        places = np.flatnonzero(softmax[:, index].max(axis=0) >= FAINTEST)
        p = softmax[:, index, places].astype(np.float64)
        is_class = truth[places] == index + 1
        moments.products[index] = p @ p.T
        moments.matches[index] = p[:, is_class].sum(axis=1)
        moments.foreground[index] = np.count_nonzero(is_class)
    return moments
