"""From prepared scans to the members of an ensemble, calibrated: all of training but publishing."""

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import torch

from lib.ensemble_training.cross_validated import cross_validated_metrics, sum_statistics
from lib.ensemble_training.generation_keys import GenerationKeys
from lib.ensemble_training.labelled_set import LabelledSet
from lib.ensemble_training.loss_weight_search import search_w_dsc
from lib.ensemble_training.out_of_fold import ScanEvaluation, evaluate_out_of_fold, mean_dice
from lib.executors.executor import Executor
from lib.models.kinds.kind import EnsembleKind
from lib.models.training_result import TrainingResult
from lib.models.workspace import Workspace
from lib.progress import Progress
from lib.task.task import Task
from lib.training.checkpoints import CheckpointStore
from lib.training.folds import split_folds
from lib.training.loss import LossWeight
from lib.training.member_job import MemberJob, member_jobs
from lib.training.members import train_members

Members = Sequence[Sequence[MemberJob]]
"""`[fold][weight]`."""


def train(
    task: Task,
    labelled: LabelledSet,
    keys: GenerationKeys,
    workspace: Workspace,
    *,
    kind: EnsembleKind,
    offsets: Collection[float] | None,
    executor: Executor,
    device: torch.device,
    progress: Progress,
) -> TrainingResult | None:
    """Train the members that are missing, and calibrate when all are there.

    Args:
        task: settings, as a task file gives them.
        labelled: the labelled scans.
        keys: what the result is known by.
        workspace: where members and evaluations are kept.
        kind: of the ensemble.
        offsets: the members to train, of `task.offsets`; all when None. A baseline is trained whole.
        executor: where members are trained.
        device: of the networks.
        progress: stages "training" (optimiser steps of the whole run) and "cross-validation" (scans).

    Returns:
        What can be published; None while members of other offsets are missing.

    Raises:
        StorageError: a file cannot be written.
        FloatingPointError: a training diverged.
    """
    store = CheckpointStore(workspace.members)
    folds = split_folds(labelled.scans, labelled.fold_of_patient, task.fold_count)
    steps = 0

    def train_missing(jobs: Iterable[MemberJob]) -> None:
        nonlocal steps
        steps = train_members(jobs, store, executor=executor, device=device, progress=progress, steps_before=steps)

    def evaluate(members: Members, reference: int) -> list[ScanEvaluation]:
        return evaluate_out_of_fold(
            members, store, reference=reference, folder=workspace.out_of_fold, device=device, progress=progress
        )

    def dice_at(weights: Sequence[LossWeight]) -> list[np.ndarray]:
        members = member_jobs(task, labelled.plan, folds, weights)
        train_missing(job for jobs in members for job in jobs)
        return [mean_dice(evaluate([[job] for job in at_weight], 0))[0] for at_weight in zip(*members, strict=True)]

    w_dsc = search_w_dsc(dice_at, classes=len(task.labels)) if task.w_dsc == "auto" else task.w_dsc
    settings = kind.settings(task)
    members = kind.jobs(task, labelled.plan, folds, w_dsc)
    wanted = settings.offsets if offsets is None or kind.is_baseline else offsets
    train_missing(
        job for jobs in members for job, offset in zip(jobs, settings.offsets, strict=True) if offset in wanted
    )
    if not all(store.has(job.key) for jobs in members for job in jobs):
        return None
    evaluations = evaluate(members, settings.reference_index)
    metrics = cross_validated_metrics(settings, labelled, evaluations)
    statistics = sum_statistics(evaluations, classes=len(task.labels), members=len(settings.offsets))
    return TrainingResult(
        key=keys.generation,
        method=kind.name,
        labels_digest=keys.labels,
        task=settings,
        plan=labelled.plan,
        w_dsc=w_dsc,
        statistics=statistics,
        calibration=kind.calibrate(task, statistics),
        fold_of_patient=labelled.fold_of_patient,
        typical_volumes=labelled.typical_volumes,
        metrics=metrics,
        members=[[store.path(job.key) for job in jobs] for jobs in members],
        label_digests=labelled.label_digests,
        evaluations={evaluation.name: evaluation.file for evaluation in evaluations},
    )
