"""What more labels are expected to bring: a power law through the DSC that was reached with so many."""

from dataclasses import dataclass

import numpy as np

FEWEST = 4
"""Points below which nothing is foretold: the curve has three parameters."""

_RESAMPLES = 200
# Slower than this is no curve but a line, faster is a step.
_EXPONENTS = np.linspace(0.1, 2.0, 39)


@dataclass(frozen=True)
class Forecast:
    """DSC that a number of labels is expected to bring.

    Attributes:
        labels: number of labels.
        dice: expected mean DSC, 0..1.
        low: 10 % of the resampled curves lie below.
        high: 10 % of them lie above.
    """

    labels: int
    dice: float
    low: float
    high: float


def forecast_dice(labels: np.ndarray, dice: np.ndarray, at: np.ndarray, *, seed: int = 0) -> list[Forecast] | None:
    """Fit `dice = ceiling - gap * labels ** -exponent` with `0 <= gap` and `ceiling <= 1`, and read it off.

    Such power laws describe how errors fall with data over a wide range of tasks (Hestness et al., "Deep Learning
    Scaling is Predictable, Empirically", 2017). The interval is that of curves through resampled residuals; it knows
    nothing of labels of another kind than those so far.

    Args:
        labels: number of labels at each point, ascending, at least 1, shape (n,).
        dice: mean DSC at each point, 0..1, shape (n,).
        at: numbers of labels to foretell, shape (m,).
        seed: of the resampling.

    Returns:
        One forecast for each of `at`; None where there are fewer than `FEWEST` different numbers of labels.

    Raises:
        ValueError: shapes that differ, a number of labels below 1, or a DSC outside 0..1.
    """
    labels, dice, at = (np.asarray(values, np.float64) for values in (labels, dice, at))
    if labels.shape != dice.shape or labels.ndim != 1:
        raise ValueError(f"labels have shape {labels.shape}, dice {dice.shape}; give both as (n,)")
    if (labels < 1).any() or not ((dice >= 0) & (dice <= 1)).all():
        raise ValueError("give at least 1 label at each point, and a DSC from 0 to 1")
    if len(np.unique(labels)) < FEWEST:
        return None
    curve = _fit(labels, dice[None])
    fitted = _read(curve, labels)[0]
    # Residuals of n points about three parameters are smaller than the noise.
    residuals = (dice - fitted) * np.sqrt(len(labels) / (len(labels) - 3))
    drawn = np.random.default_rng(seed).choice(residuals, (_RESAMPLES, len(labels)))
    curves = _read(_fit(labels, fitted + drawn), at)
    low, high = np.quantile(np.clip(curves, 0, 1), [0.1, 0.9], axis=0)
    expected = np.clip(_read(curve, at)[0], 0, 1)
    return [
        Forecast(int(number), float(mean), float(min(lowest, mean)), float(max(highest, mean)))
        for number, mean, lowest, highest in zip(at, expected, low, high, strict=True)
    ]


def _fit(labels: np.ndarray, dice: np.ndarray) -> np.ndarray:
    """Ceiling, gap and exponent of least squares for each of R rows of DSC (R, n), shape (R, 3).

    For a given exponent the other two follow from a linear fit, whose minimum within the bounds is the free one or lies
    on one of them.
    """
    best, cost = np.zeros((len(dice), 3)), np.full(len(dice), np.inf)
    mean = dice.mean(axis=1)
    for exponent in _EXPONENTS:
        falling = labels**-exponent
        centred = falling - falling.mean()
        slope = (dice @ centred) / (centred @ centred)
        free = np.column_stack([mean - slope * falling.mean(), -slope])
        flat = np.column_stack([mean.clip(0, 1), np.zeros_like(mean)])
        topped = np.column_stack([np.ones_like(mean), ((1 - dice) @ falling / (falling @ falling)).clip(0)])
        for candidate in (free, flat, topped):
            allowed = (candidate[:, 0] <= 1) & (candidate[:, 1] >= 0)
            curve = np.column_stack([candidate, np.full(len(dice), exponent)])
            squares = np.square(dice - _read(curve, labels)).sum(axis=1)
            better = allowed & (squares < cost)
            best[better], cost[better] = curve[better], squares[better]
    return best


def _read(curves: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """DSC (R, n) of R curves at n numbers of labels."""
    ceiling, gap, exponent = curves.T[:, :, None]
    return ceiling - gap * labels**-exponent
