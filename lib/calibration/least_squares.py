"""Least squares whose coefficients weight members (Eq. 2 of the paper)."""

import numpy as np


def fit_shares(residuals: np.ndarray) -> np.ndarray:
    """Least squares under a >= 0 and sum(a) <= 1, as one non-negative least squares problem.

    With a slack a_0 = 1 - sum(a) the residual is `M (a_0, a)`, where column k of M is what remains of the
    target if a_k alone is 1. For x >= 0 with direction a and sum t, `|M x|^2 + (sum(x) - 1)^2` is, at its
    best t, an increasing function of `|M a|`, so that its minimiser divided by its sum is the a sought.

    Args:
        residuals: M, shape (n, 1 + K), the slack's column first; distinct columns.

    Returns:
        a, shape (K,).
    """
    from scipy.optimize import nnls

    system = np.vstack([residuals, np.ones(residuals.shape[1])])
    target = np.zeros(len(system))
    target[-1] = 1
    solution, _ = nnls(system, target)
    return solution[1:] / solution.sum()
