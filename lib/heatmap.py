"""Calibrated probabilities from the members' votes (Eq. 3 of the paper) or their softmax."""

from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np

from lib.vote_patterns import MAX_MEMBERS, vote_codes

FAINTEST = 0.01
"""Softmax below this is left out of fits and is 0 in heatmaps: it is nearly all of a scan and says nothing."""

# A quarter of a million voxels of eight members stay in the processor's cache between the passes.
_CHUNK = 1 << 18


class FoldCombination(StrEnum):
    """Whether the heatmap is the mean of the folds' heatmaps, or the folds are averaged first and vote as one."""

    MEAN = "mean"
    VOTE = "vote"


def combine_votes(segmentations: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Turn the votes of each fold into probabilities and average them over the folds.

    For each fold `h_c = sum_k a_ck s_ck`, where s_ck says whether member k gives the voxel to class c
    (Eq. 3). One fold is the paper's own heatmap, of segmentations whose softmax was averaged over the
    folds; with several, each fold votes by itself and the heatmap is the mean.

    A voxel where no member votes for a class gets exactly 0 there. Sums outside [0, 1], which only
    the unconstrained coefficients give, are clipped before the mean: they are meant as probabilities.

    Args:
        segmentations: class indices 0..C of K members of F folds, uint8, shape (F, K, *grid).
        coefficients: a_ck, finite, shape (C, K).

    Returns:
        Probability of each foreground class, float32 in [0, 1], shape (C, *grid).

    Raises:
        ValueError: a shape does not fit, a coefficient is not finite, or a class index is above C.
        TypeError: the segmentations are not uint8.
    """
    coefficients = np.asarray(coefficients, np.float64)
    _check(segmentations, coefficients)
    folds, members, *grid = segmentations.shape
    classes = len(coefficients)
    tables = _probability_of_each_pattern(coefficients) / folds
    heatmap = np.zeros((classes, int(np.prod(grid))), np.float32)
    votes = segmentations.reshape(folds * members, -1)
    for start in range(0, votes.shape[1], _CHUNK):
        part = votes[:, start : start + _CHUNK]
        # Most voxels are background for every member: only the others are looked up.
        places = np.flatnonzero(np.bitwise_or.reduce(part, axis=0) != 0)
        if not places.size:
            continue
        some = part[:, places]
        if some.max() > classes:
            raise ValueError(f"segmentations hold class index {some.max()}; the coefficients know 0..{classes}")
        by_fold = some.reshape(folds, members, -1)
        for index, table in enumerate(tables):
            # Float64 until the folds are summed: float32 thirds would add up to more than 1.
            probability = np.zeros(places.size)
            for fold in by_fold:
                probability += table[vote_codes(fold, index + 1)]
            heatmap[index, start + places] = probability
    return heatmap.reshape(classes, *grid)


def combine_softmax(softmax: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Weight the softmax of the members: `h_c = sum_k a_ck p_kc`.

    A voxel where every member gives a class less than `FAINTEST` gets exactly 0 there. Sums outside
    [0, 1], which only unconstrained coefficients give, are clipped.

    Args:
        softmax: of K members, 0..1, shape (K, C, *grid).
        coefficients: a_ck, finite, shape (C, K).

    Returns:
        Probability of each foreground class, float32 in [0, 1], shape (C, *grid).

    Raises:
        ValueError: the shapes do not fit each other.
    """
    if softmax.shape[1::-1] != coefficients.shape:
        raise ValueError(f"softmax has shape {softmax.shape}; coefficients of shape {coefficients.shape} do not fit")
    heatmap = np.zeros(softmax.shape[1:], np.float32)
    for of_class, a, p in zip(heatmap, coefficients, np.moveaxis(softmax, 1, 0), strict=True):
        places = p.max(axis=0) >= FAINTEST
        of_class[places] = np.clip(a @ p[:, places], 0, 1)
    return heatmap


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


def _probability_of_each_pattern(coefficients: np.ndarray) -> np.ndarray:
    """Clipped a . b for every vote pattern b: shape (C, 2**K), float64."""
    members = coefficients.shape[1]
    patterns = np.arange(2**members)[:, None] >> np.arange(members) & 1
    return np.clip(coefficients @ patterns.T, 0.0, 1.0)


def _check(segmentations: np.ndarray, coefficients: np.ndarray) -> None:
    if segmentations.dtype != np.uint8:
        raise TypeError(f"segmentations are {segmentations.dtype}; give uint8 class indices")
    if coefficients.ndim != 2 or coefficients.shape[0] < 1 or not 1 <= coefficients.shape[1] <= MAX_MEMBERS:
        raise ValueError(f"coefficients have shape {coefficients.shape}; give (classes, members)")
    if not np.isfinite(coefficients).all():
        raise ValueError(f"coefficients hold a number that is not finite: {coefficients.tolist()}; fit them again")
    if segmentations.ndim < 3 or segmentations.shape[0] < 1 or segmentations.shape[1] != coefficients.shape[1]:
        raise ValueError(
            f"segmentations have shape {segmentations.shape}; coefficients of shape {coefficients.shape} "
            f"need (folds, {coefficients.shape[1]}, *grid)"
        )
