"""What cross-validation found, over all labelled scans together."""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics
from lib.ensemble_training.labelled_set import LabelledSet
from lib.ensemble_training.out_of_fold import ScanEvaluation, mean_dice
from lib.task.task import Task


def sum_statistics(evaluations: Sequence[ScanEvaluation], *, classes: int, members: int) -> OutOfFoldStatistics:
    """Statistics of all scans together, for C classes and K loss weights; of no scan where there is none."""
    zeros = OutOfFoldStatistics.zeros(classes, members=members)
    return reduce(add, (evaluation.statistics for evaluation in evaluations), zeros)


def cross_validated_metrics(
    settings: Task, labelled: LabelledSet, evaluations: Sequence[ScanEvaluation]
) -> dict[str, Any]:
    """Give the figures that are published with a generation.

    Args:
        settings: what the generation is published with.
        labelled: the labelled scans.
        evaluations: of the scans that members have not seen.

    Returns:
        `scans`, their number; `left_out`, name to reason; `dice`, mean DSC of each class at w^DSC;
        `dice_by_offset`, likewise at every offset; `dice_by_scan`, of each class at w^DSC. DSC are 0..1, and None
        where no scan tells: a class is in neither, or all networks have seen the scan.
    """
    nothing = np.full((len(settings.offsets), len(settings.labels)), np.nan)
    mean = mean_dice(evaluations) if evaluations else nothing
    by_scan = {evaluation.name: evaluation.dice for evaluation in evaluations}
    by_scan |= {scan.name: nothing for scan in labelled.scans if scan.name not in by_scan}
    reference = settings.reference_index
    return {
        "scans": len(labelled.scans),
        "left_out": dict(labelled.left_out),
        "dice": dict(zip(settings.classes, _finite(mean[reference]), strict=True)),
        "dice_by_offset": dict(zip(settings.classes, map(_finite, mean.T), strict=True)),
        "dice_by_scan": {name: _finite(dice[reference]) for name, dice in by_scan.items()},
    }


def _finite(values: np.ndarray) -> list[float | None]:
    return [round(float(value), 6) if np.isfinite(value) else None for value in values]
