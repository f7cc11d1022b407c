"""Coefficients that turn the members' votes into probabilities (Eq. 2 and 3 of the paper)."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from lib.calibration.base import Calibration, Calibrator
from lib.calibration.least_squares import fit_shares
from lib.calibration.member_outputs import MemberOutputs, RequiredOutputs
from lib.calibration.settings import FoldAggregation, Solver
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics
from lib.calibration.statistics.probability_counts import ReliabilityCounts, count_groups
from lib.calibration.statistics.vote_patterns import MAX_MEMBERS, PatternCounts, vote_codes


class WeightedVotes(Calibration):
    """Weighted votes of the members.

    Attributes:
        coefficients: a_ck, C rows of K.
        combination: whether each fold votes by itself, or all folds together as one.
    """

    coefficients: tuple[tuple[float, ...], ...]
    combination: FoldAggregation

    @property
    def required_outputs(self) -> RequiredOutputs:
        """The segmentations of all folds together, where these vote as one."""
        vote_as_one = self.combination is FoldAggregation.VOTE
        return RequiredOutputs.JOINT_SEGMENTATIONS if vote_as_one else RequiredOutputs.NONE

    @property
    def rises(self) -> tuple[bool, ...]:
        """Whether the class is more probable where all members are for it than where none is."""
        return tuple(sum(row) > 0 for row in self.coefficients)

    def heatmap(self, outputs: MemberOutputs) -> np.ndarray:
        """Probabilities from the votes of one scan (Eq. 3), see `combine_votes`."""
        votes = outputs.segmentations
        if self.combination is FoldAggregation.VOTE:
            if outputs.joint_segmentations is None:
                raise ValueError("the outputs lack joint segmentations; run the members for this calibration")
            votes = outputs.joint_segmentations[None]
        return combine_votes(votes, np.array(self.coefficients))

    def reliability(self, statistics: OutOfFoldStatistics) -> tuple[ReliabilityCounts, ...]:
        """Counts from the vote patterns, each of which has one probability."""
        patterns = statistics.patterns
        tables = _probability_of_each_pattern(np.array(self.coefficients))
        return tuple(map(count_groups, tables, patterns.voxels, patterns.foreground))


class Votes(Calibrator):
    """Fits one coefficient a member and class to the votes (Eq. 2).

    Attributes:
        fold_aggregation: whether each fold votes by itself, or all folds together as one.
        solver: which coefficients are allowed.
    """

    fitted: ClassVar[type[WeightedVotes]] = WeightedVotes

    fold_aggregation: FoldAggregation = FoldAggregation.MEAN
    solver: Solver = Solver.NONNEGATIVE

    def fit(self, statistics: OutOfFoldStatistics) -> WeightedVotes:
        """Fit the coefficients, see `fit_coefficients`."""
        coefficients = fit_coefficients(statistics.patterns, self.solver)
        return WeightedVotes(coefficients=tuple(map(tuple, coefficients.tolist())), combination=self.fold_aggregation)


def fit_coefficients(counts: PatternCounts, solver: Solver = Solver.NONNEGATIVE) -> np.ndarray:
    """Fit, for each class, one coefficient per member so that sums over votes are probabilities.

    With n_b voxels of vote pattern b, g_b of them foreground, both solvers minimise
    `sum_b (n_b (a . b) - g_b)^2` over the patterns that were seen (Eq. 2). Rows carry n_b so that a
    pattern counts by its voxels; the pattern without votes has no row, for a . b is 0 there whatever
    a is. What follows from that: foreground that no member finds is not in the heatmap.

    - `nonnegative` adds a_k >= 0 and sum(a) <= 1. The heatmap then lies in [0, 1] for every pattern,
      also for those never seen, and one vote more never lowers it. Where the members' votes are
      nested and g_b / n_b grows with the votes, the fit is exact. Where g_b / n_b falls with more
      votes, the best rising fit takes its place.
    - `unconstrained` is the authors' least squares. It fits no worse on the patterns seen, but
      coefficients may be negative and sums may leave [0, 1], most of all for rare patterns.

    Members that always voted alike share their coefficient evenly. A member that never voted for the
    class, and every member of a class that nobody ever voted for, gets 0.

    Args:
        counts: patterns over the out-of-fold predictions of all labelled scans.
        solver: which fit.

    Returns:
        Coefficients a_ck, float64, shape (C, K).
    """
    solve = _SOLVERS[solver]
    patterns = (np.arange(2**counts.members)[:, None] >> np.arange(counts.members) & 1).astype(np.float64)
    coefficients = np.zeros((counts.classes, counts.members))
    for row, voxels, foreground in zip(coefficients, counts.voxels, counts.foreground, strict=True):
        seen = voxels > 0
        seen[0] = False
        if not seen.any():
            continue
        # Fractions of the most frequent pattern: a billion voxels must not exhaust the solver's precision.
        scale = float(voxels[seen].max())
        row[:] = solve(patterns[seen], voxels[seen] / scale, foreground[seen] / scale)
    return coefficients


def _nonnegative(patterns: np.ndarray, voxels: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Coefficients that are shares, of votes b (B, K), n_b > 0 (B,) and g_b (B,): shape (K,)."""
    # Equal columns make the problem singular; one that is all zero is the slack's own.
    distinct, group, size = np.unique(patterns, axis=1, return_inverse=True, return_counts=True)
    group = group.reshape(-1)
    votes = distinct.any(axis=0)
    shared = np.zeros(distinct.shape[1])
    shared[votes] = fit_shares(
        np.column_stack([-foreground, voxels[:, None] * distinct[:, votes] - foreground[:, None]])
    )
    return (shared / size)[group]


def _unconstrained(patterns: np.ndarray, voxels: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Least squares of smallest norm, arguments and result as for `_nonnegative`."""
    from scipy.linalg import lstsq

    solution = lstsq(voxels[:, None] * patterns, foreground)[0]
    return np.asarray(solution)


_SOLVERS: dict[Solver, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    Solver.NONNEGATIVE: _nonnegative,
    Solver.UNCONSTRAINED: _unconstrained,
}

# A quarter of a million voxels of eight members stay in the processor's cache between the passes.
_CHUNK = 1 << 18


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
