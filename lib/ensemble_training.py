"""From labelled scans to a published generation."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.calibration import fit_coefficients
from lib.cross_validation import CrossValidation, LossWeight, split_folds
from lib.devices import choose_device
from lib.digest import digest_settings
from lib.errors import InputError
from lib.fingerprint import Fingerprint, fingerprint_scan
from lib.folds import assign_folds
from lib.generation import Calibration, Generation, damaged_files, find_generation, publish_generation
from lib.loss_weight_search import search_w_dsc
from lib.members import MemberStore
from lib.out_of_fold import ScanEvaluation, evaluate_out_of_fold, mean_dice, sum_counts
from lib.plan import Plan, make_plan
from lib.prepared_scans import (
    PreparedScan,
    digest_labelled_scan,
    prepare_scan,
    read_labelled_scan,
    remove_unused_scans,
)
from lib.progress import Progress, silent
from lib.studies import LabelledScan
from lib.task import Task
from lib.volume import Volume
from lib.workspace import Workspace

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _LabelState:
    """The labelled scans as they are now, and what follows from them alone."""

    plan: Plan
    typical_volumes: tuple[float, ...]
    scans: tuple[PreparedScan, ...]
    folds: Mapping[str, int]
    left_out: Mapping[str, str]


def train_ensemble(
    task: Task,
    scans: Sequence[LabelledScan],
    workspace: Workspace,
    *,
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
        offsets: the members to train, of `task.offsets`; all when None.
        device: see `lib.devices.choose_device`.
        progress: stages "reading", "training" (optimiser steps) and "cross-validation" (scans).

    Returns:
        The published generation, now current; None while members of other offsets are missing.

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
        state = _read_label_state(task, scans, workspace, progress)
        key = _generation_key(task, state)
        _remove_damaged(workspace, key)
        published = find_generation(workspace.generations, key)
        if published is None:
            published = _train_and_publish(task, state, workspace, key, offsets, device, progress)
        if published is not None and workspace.current() != published.id:
            workspace.make_current(published)
        return published


def _train_and_publish(
    task: Task,
    state: _LabelState,
    workspace: Workspace,
    key: str,
    offsets: Sequence[float] | None,
    device: str,
    progress: Progress,
) -> Generation | None:
    store = MemberStore(workspace.members)
    cross_validation = CrossValidation(
        split_folds(state.scans, dict(state.folds), task.fold_count),
        task=task,
        plan=state.plan,
        store=store,
        device=choose_device(device),
        progress=progress,
    )
    folder = workspace.out_of_fold
    w_dsc = task.w_dsc
    if w_dsc == "auto":
        w_dsc = search_w_dsc(cross_validation, folder=folder, progress=progress)
    wanted = task.offsets if offsets is None else tuple(offsets)
    cross_validation.train([_shift(w_dsc, offset) for offset in wanted])
    weights = [_shift(w_dsc, offset) for offset in task.offsets]
    if not all(cross_validation.is_trained(weight) for weight in weights):
        return None
    evaluations = evaluate_out_of_fold(cross_validation, weights, folder=folder, progress=progress)
    counts = sum_counts(evaluations)
    generation = publish_generation(
        workspace.generations,
        key=key,
        task=task,
        plan=state.plan,
        calibration=Calibration(
            w_dsc=w_dsc,
            counts=counts,
            coefficients=fit_coefficients(counts, task.solver),
            folds=state.folds,
            typical_volumes=state.typical_volumes,
            metrics=_summarise(task, evaluations, state.left_out),
        ),
        members=[
            [store.path(cross_validation.member_key(fold, weight)) for weight in weights]
            for fold in cross_validation.folds
        ],
    )
    store.remove_unused()
    remove_unused_scans(workspace.prepared_scans, state.scans)
    return generation


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


def _read_label_state(
    task: Task, scans: Sequence[LabelledScan], workspace: Workspace, progress: Progress
) -> _LabelState:
    if not scans:
        raise InputError("no scan has a label yet; label some (or give labels to `prepare`), then train")
    fingerprints, digests, left_out = [], {}, {}
    for number, scan in enumerate(scans, 1):
        try:
            image, label, region = read_labelled_scan(scan, task)
        except InputError as error:
            logger.warning("Left out of training: %s", error)
            left_out[scan.name] = str(error)
        else:
            if task.region and region is None:
                logger.warning("%s: has no region mask labels/%s; it is used whole", scan.name, task.region)
            inside = label.array if region is None else label.array * region.array
            fingerprints.append(fingerprint_scan(image, Volume(inside, label.affine), task))
            digests[scan] = digest_labelled_scan(scan)
        progress("reading", number, 2 * len(scans))
    if not digests:
        raise InputError(
            f"none of the {len(scans)} labelled scans can be used; the first: {next(iter(left_out.values()))}"
        )
    fingerprint = Fingerprint.merge(fingerprints, task)
    plan = make_plan(task, fingerprint)
    previous = workspace.read_folds(task.fold_count)
    patients = sorted({scan.patient for scan in digests})
    folds = assign_folds(patients, fold_count=task.fold_count, previous=previous, seed=task.seed)
    workspace.write_folds(previous | folds, task.fold_count)
    prepared = []
    for scan, digest in digests.items():
        prepared.append(prepare_scan(scan, task=task, plan=plan, digest=digest, folder=workspace.prepared_scans))
        progress("reading", len(scans) + len(prepared), len(scans) + len(digests))
    return _LabelState(plan, fingerprint.typical_volumes, tuple(prepared), folds, left_out)


def _generation_key(task: Task, state: _LabelState) -> str:
    return digest_settings(
        {
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
