"""Coefficients that turn votes into probabilities (Eq. 2 of the paper)."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import lstsq
from scipy.optimize import nnls

from lib.task import Solver
from lib.vote_patterns import PatternCounts


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
    """Least squares under a >= 0 and sum(a) <= 1, as one non-negative least squares problem.

    With a slack a_0 = 1 - sum(a) the residual is `M a`, where `M_bk = n_b b_k - g_b` and `M_b0 = -g_b`.
    For x >= 0 with direction a and sum t, `|M x|^2 + (sum(x) - 1)^2` is, at its best t, an increasing
    function of `|M a|`, so that its minimiser divided by its sum is the a sought.

    Args:
        patterns: votes b, 0 or 1, shape (B, K).
        voxels: n_b > 0, shape (B,).
        foreground: g_b, shape (B,).

    Returns:
        a, shape (K,).
    """
    # Equal columns make the problem singular; one that is all zero is the slack's own.
    distinct, group, size = np.unique(patterns, axis=1, return_inverse=True, return_counts=True)
    group = group.reshape(-1)
    votes = distinct.any(axis=0)
    residuals = np.column_stack([-foreground, voxels[:, None] * distinct[:, votes] - foreground[:, None]])
    system = np.vstack([residuals, np.ones(residuals.shape[1])])
    target = np.zeros(len(system))
    target[-1] = 1
    solution, _ = nnls(system, target)
    shared = np.zeros(distinct.shape[1])
    shared[votes] = solution[1:] / solution.sum()
    return (shared / size)[group]


def _unconstrained(patterns: np.ndarray, voxels: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Least squares of smallest norm, arguments and result as for `_nonnegative`."""
    solution = lstsq(voxels[:, None] * patterns, foreground)[0]
    return np.asarray(solution)


_SOLVERS: dict[Solver, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    Solver.NONNEGATIVE: _nonnegative,
    Solver.UNCONSTRAINED: _unconstrained,
}
