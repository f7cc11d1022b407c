import numpy as np
import pytest
from scipy.optimize import minimize

from lib.calibration.least_squares import fit_shares


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("members", [1, 2, 5])
def test_shares_are_the_minimum_on_the_simplex(members: int, seed: int) -> None:
    """Against a general solver under the same constraints."""
    rng = np.random.default_rng(seed)
    columns, target = rng.random((30, members)), rng.random(30)
    a = fit_shares(np.column_stack([-target, columns - target[:, None]]))
    best = minimize(
        lambda a: np.square(columns @ a - target).sum(),
        np.full(members, 1 / (members + 1)),
        bounds=[(0, 1)] * members,
        constraints={"type": "ineq", "fun": lambda a: 1 - a.sum()},
        method="SLSQP",
        options={"ftol": 1e-12},
    )
    np.testing.assert_allclose(a, best.x, atol=1e-4)
    assert (a >= 0).all()
    assert a.sum() <= 1 + 1e-12


def test_a_target_beyond_the_shares_is_approached_and_one_below_zero_is_left() -> None:
    column = np.ones((4, 1))
    assert fit_shares(np.column_stack([np.full(4, -3.0), column - 3])) == pytest.approx([1])
    assert fit_shares(np.column_stack([np.full(4, 3.0), column + 3])) == pytest.approx([0])
