"""A labelled set whose keys were computed before members were jobs."""

from pathlib import Path

from lib.preprocessing.prepared_scans import PreparedScan
from lib.task.task import Task
from lib.training.folds import Fold, split_folds
from tests.tiny_training import a_task

FOLD_OF_PATIENT = {"a": 0, "b": 1, "c": 0, "d": 1}


def frozen_task() -> Task:
    """Two classes, each with its own w^DSC."""
    return a_task(labels={"lesion": 1, "cyst": 4}, w_dsc=[-1.0, 0.5])


def frozen_scans() -> list[PreparedScan]:
    """Four scans, not in the order of their names."""
    return [PreparedScan(name, patient=name, digest=64 * name, folder=Path()) for name in "dbca"]


def frozen_folds() -> list[Fold]:
    """Of these scans."""
    return split_folds(frozen_scans(), FOLD_OF_PATIENT, 2)
