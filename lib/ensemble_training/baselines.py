"""What the paper compares itself with, stored like any generation: seven seeds, and Monte Carlo dropout."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib.calibration.settings import FoldAggregation
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics
from lib.calibration.votes import WeightedVotes
from lib.ensemble_training.labelled_set import LabelState
from lib.models.generation import Findings
from lib.models.method import Method
from lib.task.task import Task
from lib.training.cross_validation import CrossValidation
from lib.training.folds import Fold
from lib.training.member_keys import LossWeight

NETWORKS = 7
"""Seeds, or passes with dropout; as many as the paper's loss weights."""

DROPOUT = 0.1
"""Probability with which a channel is dropped; the paper's."""


def published_task(task: Task, method: Method) -> Task:
    """Give the settings that a generation of a method is published with.

    A baseline has seven folds at w^DSC alone, and its heatmap is the mean of their votes.
    """
    if method is Method.CALIBRATED:
        return task
    settings: dict[str, Any] = {
        "fold_count": NETWORKS,
        "offsets": (0.0,),
        "heatmap": "votes",
        "folds": FoldAggregation.MEAN,
    }
    if method is Method.DROPOUT:
        settings["network"] = task.network.model_copy(update={"dropout": DROPOUT})
    return task.model_copy(update=settings)


def train_baseline(
    cross_validation: CrossValidation, method: Method, state: LabelState, w_dsc: LossWeight
) -> list[list[Path]]:
    """Train the networks that are missing, each on all labelled scans.

    Args:
        cross_validation: of the calibrated method, which knows where members are kept.
        method: `seeds` trains seven networks. `dropout` trains one, which is there seven times: what
            differs are the channels that each pass drops (`lib.networks.dropout`).
        state: the labelled scans.
        w_dsc: loss weight.

    Returns:
        Weight files, `members[fold][offset]`.

    Raises:
        InputError: a checkpoint cannot be written.
        FloatingPointError: a training diverged.
    """
    scans = tuple(sorted(state.scans, key=lambda scan: scan.name))
    passes = NETWORKS if method is Method.DROPOUT else 1
    folds = [Fold(number, training=scans, validation=()) for number in range(NETWORKS // passes)]
    networks = cross_validation.varied(folds, published_task(cross_validation.task, method))
    networks.train([w_dsc])
    return [[networks.member_path(fold, w_dsc)] for fold in folds] * passes


def baseline_findings(task: Task, state: LabelState, w_dsc: LossWeight) -> Findings:
    """Give the findings of a baseline: every network's vote counts alike, and nothing is cross-validated."""
    classes = len(task.labels)
    return Findings(
        w_dsc=w_dsc,
        statistics=OutOfFoldStatistics.zeros(classes, members=1),
        calibration=WeightedVotes(coefficients=((1.0,),) * classes, combination=FoldAggregation.MEAN),
        folds=state.folds,
        typical_volumes=state.typical_volumes,
        metrics=_unknown_metrics(task, state),
    )


def _unknown_metrics(task: Task, state: LabelState) -> Mapping[str, Any]:
    """Metrics as of `lib.ensemble_training.train`, without a DSC: no scan is left that no network has seen."""
    return {
        "scans": len(state.scans),
        "left_out": dict(state.left_out),
        "dice": dict.fromkeys(task.classes),
        "dice_by_offset": {name: [None] for name in task.classes},
        "dice_by_scan": {scan.name: [None] * len(task.classes) for scan in state.scans},
    }
