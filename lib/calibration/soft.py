"""Coefficients on the members' softmax in the place of their votes, which the paper leaves as future work."""

from typing import ClassVar

import numpy as np

from lib.calibration.base import Calibration, Calibrator
from lib.calibration.least_squares import fit_shares
from lib.calibration.member_outputs import MemberOutputs, RequiredOutputs
from lib.calibration.settings import Solver
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics
from lib.calibration.statistics.soft_moments import SoftMoments
from lib.calibration.statistics.thresholds import FAINTEST

# Of the largest eigenvalue: members that answer alike share their coefficient evenly instead of at random.
_RIDGE = 1e-10


class WeightedSoftmax(Calibration):
    """Weighted softmax of the members.

    Attributes:
        coefficients: a_ck, C rows of K.
    """

    coefficients: tuple[tuple[float, ...], ...]

    @property
    def required_outputs(self) -> RequiredOutputs:
        """The softmax of all members."""
        return RequiredOutputs.MEMBER_SOFTMAX

    @property
    def rises(self) -> tuple[bool, ...]:
        """Whether the class is more probable where all members are for it than where none is."""
        return tuple(sum(row) > 0 for row in self.coefficients)

    def heatmap(self, outputs: MemberOutputs) -> np.ndarray:
        """Probabilities from the softmax of one scan, see `combine_softmax`."""
        if outputs.member_softmax is None:
            raise ValueError("the outputs lack the softmax of all members; run the members for this calibration")
        return combine_softmax(outputs.member_softmax, np.array(self.coefficients))


class SoftmaxWeights(Calibrator):
    """Fits one coefficient a member and class to the softmax.

    Attributes:
        solver: which coefficients are allowed.
    """

    fitted: ClassVar[type[WeightedSoftmax]] = WeightedSoftmax

    solver: Solver = Solver.NONNEGATIVE

    def fit(self, statistics: OutOfFoldStatistics) -> WeightedSoftmax:
        """Fit the coefficients, see `fit_soft_coefficients`."""
        coefficients = fit_soft_coefficients(statistics.moments, self.solver)
        return WeightedSoftmax(coefficients=tuple(map(tuple, coefficients.tolist())))


def fit_soft_coefficients(moments: SoftMoments, solver: Solver) -> np.ndarray:
    """Fit, for each class, one coefficient per member so that weighted softmax is the probability of foreground.

    Both solvers minimise `sum_i (a . p_i - y_i)^2` over the voxels where any member gives the class at
    least `lib.calibration.statistics.thresholds.FAINTEST`: among the others there are too many to learn anything from.

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
    from scipy.linalg import eigh

    # The residual of voxel i is (a_0, a) . (-y_i, p_i - y_i), whose squares sum to this quadratic form.
    gram = np.full((len(matches) + 1,) * 2, foreground)
    gram[1:] -= matches[:, None]
    gram[:, 1:] -= matches
    gram[1:, 1:] += products
    gram[1:, 1:] += _RIDGE * np.linalg.norm(products, 2) * np.eye(len(matches))
    values, vectors = eigh(gram)
    return fit_shares(np.sqrt(np.maximum(values, 0))[:, None] * vectors.T)


def _unconstrained(products: np.ndarray, matches: np.ndarray, foreground: float) -> np.ndarray:  # noqa: ARG001
    from scipy.linalg import lstsq

    return np.asarray(lstsq(products, matches, cond=_RIDGE)[0])


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
