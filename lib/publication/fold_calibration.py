"""How far heatmaps are from what they promise on scans that neither members nor calibration were fitted to."""

from functools import reduce
from operator import add

import numpy as np

from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics
from lib.metrics.calibration_error import calibration_errors
from lib.models.generation import Generation


def calibration_error_by_scan(generation: Generation) -> dict[str, np.ndarray]:
    """Cross-validated expected calibration error of each labelled scan, without predicting again.

    The calibration is fitted to the scans of the other folds, whose statistics are those of members that have
    not seen them, and applied to the votes of the fold's own scans. Voxels that no member votes for are left out:
    they are most of a scan, and agree.

    Args:
        generation: of the served kind.

    Returns:
        float64 (C,) by scan, 0..1, NaN where a class has no voxel; empty where the calibration does not tell
        (see `lib.calibration.base.Calibration.reliability`).

    Raises:
        DamagedGenerationError: statistics are missing or unreadable.
    """
    by_fold: dict[int, dict[str, OutOfFoldStatistics]] = {}
    for scan in generation.metrics["dice_by_scan"]:
        fold = generation.fold_of_patient[generation.task.patient(scan)]
        by_fold.setdefault(fold, {})[scan] = generation.statistics_of(scan)
    errors: dict[str, np.ndarray] = {}
    for scans in by_fold.values():
        others = generation.statistics - reduce(add, scans.values())
        calibration = generation.kind.calibrate(generation.task, others)
        for scan, statistics in scans.items():
            counts = calibration.reliability(statistics)
            if counts is None:
                return {}
            errors[scan] = calibration_errors(np.stack([one.in_error_bins() for one in counts]))[0]
    return errors
