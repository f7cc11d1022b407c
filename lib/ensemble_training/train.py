"""From labelled scans to a published generation."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lib.datasets.scans import LabelledScan
from lib.ensemble_training.baselines import baseline_findings, published_task, train_baseline
from lib.ensemble_training.labelled_set import LabelState, read_label_state
from lib.ensemble_training.loss_weight_search import search_w_dsc
from lib.ensemble_training.out_of_fold import ScanEvaluation, evaluate_out_of_fold, mean_dice, sum_statistics
from lib.errors import InputError
from lib.models.generation import Findings, Generation, damaged_files, find_generation
from lib.models.method import Method
from lib.models.publishing import publish_generation
from lib.models.workspace import Workspace
from lib.networks.devices import choose_device
from lib.preprocessing.prepared_scans import remove_unused_scans
from lib.progress import Progress, silent
from lib.storage.digest import digest_settings
from lib.task.task import Task
from lib.training.checkpoints import MemberStore
from lib.training.cross_validation import CrossValidation
from lib.training.folds import split_folds
from lib.training.member_keys import RECIPE, LossWeight

logger = logging.getLogger(__name__)


def train_ensemble(
    task: Task,
    scans: Sequence[LabelledScan],
    workspace: Workspace,
    *,
    method: Method = Method.CALIBRATED,
    offsets: Sequence[float] | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> Generation | None:
    """Train the members that are missing; calibrate and publish when all are there.

    Whatever is finished is kept: an interrupted call goes on where it was, a repeated one gives
    the published generation, and after a change only what depends on it is trained again. A scan
    that cannot be read is left out, with a warning, and named in the generation's metrics.

    Args:
        task: settings.
        scans: labelled scans.
        workspace: where everything is kept.
        method: how networks are made to differ; a baseline is published, but never served.
        offsets: the members to train, of `task.offsets`; all when None. A baseline is trained whole.
        device: see `lib.networks.devices.choose_device`.
        progress: stages "reading", "training" (optimiser steps) and "cross-validation" (scans).

    Returns:
        The published generation, now current unless it is a baseline; None while members of other
        offsets are missing.

    Raises:
        InputError: there are no usable labels, fewer patients than folds, an unknown offset,
            another training in this workspace, or a workspace that cannot be written to.
        FloatingPointError: a training diverged.
    """
    unknown = set(offsets or ()) - set(task.offsets)
    if unknown:
        raise InputError(f"offset {min(unknown):g}: is none of the task's offsets {list(task.offsets)}")
    with workspace.training_lock():
        workspace.remove_leftovers()
        state = read_label_state(task, scans, workspace, progress)
        key = _generation_key(published_task(task, method), state, method)
        _remove_damaged(workspace, key)
        published = find_generation(workspace.generations, key)
        if published is None:
            cross_validation = CrossValidation(
                split_folds(state.scans, dict(state.folds), task.fold_count),
                task=task,
                plan=state.plan,
                store=MemberStore(workspace.members),
                device=choose_device(device),
                progress=progress,
            )
            published = _train_and_publish(cross_validation, method, state, workspace, key, offsets, progress)
        if published is not None and method is Method.CALIBRATED and workspace.current() != published.id:
            workspace.make_current(published)
        return published


def _train_and_publish(
    cross_validation: CrossValidation,
    method: Method,
    state: LabelState,
    workspace: Workspace,
    key: str,
    offsets: Sequence[float] | None,
    progress: Progress,
) -> Generation | None:
    task = cross_validation.task
    w_dsc = task.w_dsc
    if w_dsc == "auto":
        w_dsc = search_w_dsc(cross_validation, folder=workspace.out_of_fold, progress=progress)
    if method is Method.CALIBRATED:
        weights = [_shift(w_dsc, offset) for offset in task.offsets]
        cross_validation.train(weights if offsets is None else [_shift(w_dsc, offset) for offset in offsets])
        if not all(cross_validation.is_trained(weight) for weight in weights):
            return None
        evaluations = evaluate_out_of_fold(
            cross_validation,
            weights,
            served=task.offsets.index(0.0),
            folder=workspace.out_of_fold,
            progress=progress,
        )
        findings = _calibrate(task, state, weights, evaluations)
        members = [
            [cross_validation.member_path(fold, weight) for weight in weights] for fold in cross_validation.folds
        ]
    else:
        evaluations = []
        members = train_baseline(cross_validation, method, state, w_dsc)
        findings = baseline_findings(task, state, w_dsc)
    generation = publish_generation(
        workspace.generations,
        key=key,
        method=method,
        labels_digest=state.labels_digest(task),
        task=published_task(task, method),
        plan=state.plan,
        findings=findings,
        members=members,
        evaluations={evaluation.name: evaluation.file for evaluation in evaluations},
    )
    store = MemberStore(workspace.members)
    store.mark_used(path for paths in members for path in paths)
    store.remove_unused()
    remove_unused_scans(workspace.prepared_scans, state.scans)
    return generation


def _calibrate(
    task: Task, state: LabelState, weights: Sequence[LossWeight], evaluations: Sequence[ScanEvaluation]
) -> Findings:
    statistics = sum_statistics(evaluations)
    return Findings(
        w_dsc=weights[task.offsets.index(0.0)],
        statistics=statistics,
        calibration=task.calibrator.fit(statistics),
        folds=state.folds,
        typical_volumes=state.typical_volumes,
        metrics=_summarise(task, evaluations, state.left_out),
    )


def _remove_damaged(workspace: Workspace, key: str) -> None:
    """Remove generations with this key that are not as published, so that they are made again."""
    store = MemberStore(workspace.members)
    for path in workspace.generations.glob(f"*-{key[:8]}"):
        damaged = damaged_files(path)
        if damaged:
            logger.warning("%s: is missing or differs from what was published; it is made again", damaged[0])
            for file in damaged:
                store.forget(file)
            shutil.rmtree(path)


def _generation_key(task: Task, state: LabelState, method: Method) -> str:
    return digest_settings(
        {
            "recipe": RECIPE,
            "method": method,
            "task": task.model_dump(mode="json"),
            "plan": state.plan.model_dump(mode="json"),
            "folds": dict(state.folds),
            "scans": sorted([scan.name, scan.digest] for scan in state.scans),
        }
    )


def _shift(w_dsc: LossWeight, offset: float) -> LossWeight:
    return tuple(weight + offset for weight in w_dsc)


def _summarise(task: Task, evaluations: Sequence[ScanEvaluation], left_out: Mapping[str, str]) -> dict[str, Any]:
    """Cross-validated DSC at w^DSC per class and scan, and mean DSC of every offset; None where undefined."""
    served = task.offsets.index(0.0)
    mean = mean_dice(evaluations)
    return {
        "scans": len(evaluations),
        "left_out": dict(left_out),
        "dice": {name: _finite(mean[served, number]) for number, name in enumerate(task.classes)},
        "dice_by_offset": {
            name: [_finite(value) for value in mean[:, number]] for number, name in enumerate(task.classes)
        },
        "dice_by_scan": {
            evaluation.name: [_finite(value) for value in evaluation.dice[served]] for evaluation in evaluations
        },
    }


def _finite(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
