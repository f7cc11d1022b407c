"""What the baselines of the paper have in common."""

from collections.abc import Sequence
from typing import Any

from lib.calibration.base import Calibration
from lib.calibration.settings import FoldAggregation
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics
from lib.calibration.votes import WeightedVotes
from lib.task.task import Task
from lib.training.folds import Fold

NETWORKS = 7
"""Seeds, or passes with dropout; as many as the paper's loss weights."""


class Baseline:
    """Seven networks at w^DSC, each trained on all labelled scans, whose votes count alike."""

    is_baseline = True

    def calibrate(self, task: Task, statistics: OutOfFoldStatistics) -> Calibration:  # noqa: ARG002
        """Give the mean of the networks' votes; there is nothing to fit to."""
        return WeightedVotes(coefficients=((1.0,),) * len(task.labels), combination=FoldAggregation.MEAN)


def baseline_settings(task: Task, **others: Any) -> Task:
    """Give the settings of a baseline: seven folds at w^DSC alone, and the mean of their votes for a heatmap.

    Args:
        task: settings, as a task file gives them.
        others: further settings to change.
    """
    settings = {"fold_count": NETWORKS, "offsets": (0.0,), "heatmap": "votes", "folds": FoldAggregation.MEAN}
    return task.model_copy(update=settings | others)


def train_on_all(folds: Sequence[Fold], count: int) -> list[Fold]:
    """Give folds that hold no scan out.

    Args:
        folds: of the cross-validation.
        count: how many.
    """
    scans = tuple(sorted((*folds[0].training, *folds[0].validation), key=lambda scan: scan.name))
    return [Fold(number, training=scans, validation=()) for number in range(count)]
