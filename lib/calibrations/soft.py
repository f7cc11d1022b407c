"""Coefficients on the members' softmax in the place of their votes, which the paper leaves as future work."""

from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.linalg import eigh, lstsq

from lib.calibration import Calibration
from lib.heatmap import combine_softmax
from lib.least_squares import Solver, fit_shares
from lib.member_outputs import Extra, MemberOutputs
from lib.out_of_fold_statistics import OutOfFoldStatistics
from lib.soft_moments import SoftMoments

if TYPE_CHECKING:
    from lib.task import Task

# Of the largest eigenvalue: members that answer alike share their coefficient evenly instead of at random.
_RIDGE = 1e-10


class Soft(Calibration):
    """Weighted softmax of the members.

    Attributes:
        coefficients: a_ck, C rows of K.
    """

    coefficients: tuple[tuple[float, ...], ...]

    @classmethod
    def fit(cls, statistics: OutOfFoldStatistics, task: "Task") -> Self:
        """Fit the coefficients with the task's solver, see `fit_soft_coefficients`."""
        coefficients = fit_soft_coefficients(statistics.moments, task.solver)
        return cls(coefficients=tuple(map(tuple, coefficients.tolist())))

    @property
    def extras(self) -> Extra:
        """The softmax of all members."""
        return Extra.MEMBER_SOFTMAX

    def heatmap(self, outputs: MemberOutputs) -> np.ndarray:
        """Probabilities from the softmax of one scan, see `lib.heatmap.combine_softmax`."""
        if outputs.member_softmax is None:
            raise ValueError("the outputs lack the softmax of all members; run the members for this calibration")
        return combine_softmax(outputs.member_softmax, np.array(self.coefficients))


def fit_soft_coefficients(moments: SoftMoments, solver: Solver) -> np.ndarray:
    """Fit, for each class, one coefficient per member so that weighted softmax is the probability of foreground.

    Both solvers minimise `sum_i (a . p_i - y_i)^2` over the voxels where any member gives the class at
    least `lib.heatmap.FAINTEST`: among the others there are too many to learn anything from.

    Args:
        moments: of the out-of-fold softmax of all labelled scans.
        solver: `nonnegative` keeps a_k >= 0 and sum(a) <= 1, so that probabilities lie in [0, 1];
            `unconstrained` is plain least squares of smallest norm.

    Returns:
        Coefficients a_ck, float64, shape (C, K); 0 for a class that no member ever gave anything.
    """
    coefficients = np.zeros_like(moments.matches)
    for row, products, matches, foreground in zip(
        coefficients, moments.products, moments.matches, moments.foreground, strict=True
    ):
        if products.any():
            scale = max(products.max(), foreground)
            solve = _nonnegative if solver is Solver.NONNEGATIVE else _unconstrained
            row[:] = solve(products / scale, matches / scale, foreground / scale)
    return coefficients


def _nonnegative(products: np.ndarray, matches: np.ndarray, foreground: float) -> np.ndarray:
    # The residual of voxel i is (a_0, a) . (-y_i, p_i - y_i), whose squares sum to this quadratic form.
    gram = np.full((len(matches) + 1,) * 2, foreground)
    gram[1:] -= matches[:, None]
    gram[:, 1:] -= matches
    gram[1:, 1:] += products
    gram[1:, 1:] += _RIDGE * np.linalg.norm(products, 2) * np.eye(len(matches))
    values, vectors = eigh(gram)
    return fit_shares(np.sqrt(np.maximum(values, 0))[:, None] * vectors.T)


def _unconstrained(products: np.ndarray, matches: np.ndarray, foreground: float) -> np.ndarray:  # noqa: ARG001
    return np.asarray(lstsq(products, matches, cond=_RIDGE)[0])
