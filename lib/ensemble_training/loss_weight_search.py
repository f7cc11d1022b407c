"""Finding w^DSC, the loss weight with the best mean DSC in cross-validation."""

from collections.abc import Callable, Sequence

import numpy as np

from lib.training.loss import LossWeight

_STEP = 1.0
_LIMIT = 3.0

MeanDice = Callable[[Sequence[LossWeight]], Sequence[np.ndarray]]
"""From loss weights to the cross-validated mean DSC of each class at each of them, shape (C,); NaN where unknown."""


def search_w_dsc(mean_dice: MeanDice, *, classes: int) -> LossWeight:
    """Climb from w = 0 in steps of 1 to the best cross-validated mean DSC, for each class.

    All classes are trained at the same w while searching, and each takes its own best (paper,
    section 3.2). Members trained on the way are members of the ensemble where their loss weight
    is among those that it needs.

    Args:
        mean_dice: trains and evaluates what is missing; asked for no loss weight twice.
        classes: foreground classes C.

    Returns:
        One loss weight per class, within -3..3; 0 for a class that no scan holds.
    """
    dice: dict[float, np.ndarray] = {}
    candidates = {-_STEP, 0.0, _STEP}
    while candidates:
        weights = sorted(candidates)
        dice |= zip(weights, mean_dice([(weight,) * classes for weight in weights]), strict=True)
        best = [_best(dice, number) for number in range(classes)]
        candidates = {weight + step for weight in best for step in (-_STEP, _STEP)} - dice.keys()
        candidates = {weight for weight in candidates if abs(weight) <= _LIMIT}
    return tuple(best)


def _best(dice: dict[float, np.ndarray], number: int) -> float:
    # Of equals the one nearest to the neutral weight.
    return max(dice, key=lambda weight: (np.nan_to_num(dice[weight][number]), -abs(weight)))
