"""What a training made, before it is published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.calibration.base import Calibration
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics
from lib.models.kinds.method import Method
from lib.preprocessing.plan import Plan
from lib.task.task import Task


@dataclass(frozen=True)
class TrainingResult:
    """All members of an ensemble, and what cross-validation found.

    Attributes:
        key: digest of what it depends on: labels, scans and settings.
        method: name of its kind: how its networks were made to differ.
        labels_digest: digest of the labelled scans and their classes.
        task: settings to publish it with.
        plan: preprocessing.
        w_dsc: loss weight with the best mean DSC, one per class.
        statistics: what calibrations are fitted to, over all labelled scans; of no scan for a baseline.
        calibration: turns the members' outputs into the heatmap.
        fold_of_patient: patient to fold of the cross-validation.
        typical_volumes: mean volume of each class in mm3, over the labelled scans that hold it.
        metrics: cross-validated figures, see `lib.ensemble_training.cross_validated`.
        members: weight files, `[fold][offset]`.
        label_digests: digest of the label file of each labelled scan, by its name.
        evaluations: file of each labelled scan's part of the statistics, by its name; empty for a baseline.
    """

    key: str
    method: Method
    labels_digest: str
    task: Task
    plan: Plan
    w_dsc: tuple[float, ...]
    statistics: OutOfFoldStatistics
    calibration: Calibration
    fold_of_patient: Mapping[str, int]
    typical_volumes: tuple[float, ...]
    metrics: Mapping[str, Any]
    members: Sequence[Sequence[Path]]
    label_digests: Mapping[str, str]
    evaluations: Mapping[str, Path]
