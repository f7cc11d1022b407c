"""Finding w^DSC, the loss weight with the best mean DSC in cross-validation."""

from pathlib import Path

import numpy as np

from lib.ensemble_training.out_of_fold import evaluate_out_of_fold, mean_dice
from lib.progress import Progress
from lib.training.cross_validation import CrossValidation

_STEP = 1.0
_LIMIT = 3.0


def search_w_dsc(cross_validation: CrossValidation, *, folder: Path, progress: Progress) -> tuple[float, ...]:
    """Climb from w = 0 in steps of 1 to the best cross-validated mean DSC, for each class.

    All classes are trained at the same w while searching, and each takes its own best (paper,
    section 3.2). Members trained on the way are members of the ensemble where their loss weight
    is among those that it needs.

    Args:
        cross_validation: trains what is missing.
        folder: where out-of-fold evaluations are kept.
        progress: told of training and evaluation.

    Returns:
        One loss weight per class, within -3..3; 0 for a class that no scan holds.
    """
    classes = len(cross_validation.task.labels)
    dice: dict[float, np.ndarray] = {}
    candidates = {-_STEP, 0.0, _STEP}
    while candidates:
        weights = [(weight,) * classes for weight in sorted(candidates)]
        cross_validation.train(weights)
        for weight in weights:
            evaluations = evaluate_out_of_fold(cross_validation, [weight], served=0, folder=folder, progress=progress)
            dice[weight[0]] = mean_dice(evaluations)[0]
        best = [_best(dice, number) for number in range(classes)]
        candidates = {weight + step for weight in best for step in (-_STEP, _STEP)} - dice.keys()
        candidates = {weight for weight in candidates if abs(weight) <= _LIMIT}
    return tuple(best)


def _best(dice: dict[float, np.ndarray], number: int) -> float:
    # Of equals the one nearest to the neutral weight.
    return max(dice, key=lambda weight: (np.nan_to_num(dice[weight][number]), -abs(weight)))
