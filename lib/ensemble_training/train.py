"""From labelled scans to a published generation."""

import logging
from collections.abc import Callable, Collection, Sequence
from os import PathLike

from lib.datasets.scans import LabelledScan
from lib.ensemble_training.generation_keys import generation_keys
from lib.ensemble_training.labelled_set import prepare_labelled_set
from lib.ensemble_training.published import find_published
from lib.ensemble_training.training_run import train
from lib.errors import DamagedGenerationError, InputError, NotTrainedError
from lib.executors.executor import Executor
from lib.executors.local import InProcess
from lib.models.generation import Generation
from lib.models.kinds.kind import EnsembleKind
from lib.models.kinds.registry import CALIBRATED
from lib.models.publishing import publish
from lib.models.workspace import Workspace
from lib.networks.devices import choose_device
from lib.progress import Progress, silent
from lib.publication.held_back import HeldBackBy, hold_back, read_held_back, release
from lib.task.task import Task
from lib.training.checkpoints import CheckpointStore

logger = logging.getLogger(__name__)

Gate = Callable[[Generation, Generation | None], Sequence[str]]
"""Reasons why the first generation must not take the place of the second, which is None before the first."""


def train_ensemble(
    task: Task,
    scans: Sequence[LabelledScan],
    workspace: Workspace | str | PathLike[str],
    *,
    kind: EnsembleKind = CALIBRATED,
    offsets: Collection[float] | None = None,
    executor: Executor | None = None,
    device: str = "auto",
    progress: Progress = silent,
    gate: Gate | None = None,
) -> Generation | None:
    """Train the members that are missing; calibrate and publish when all are there.

    Whatever is finished is kept: an interrupted call goes on where it was, a repeated one gives
    the published generation, and after a change only what depends on it is trained again. A scan
    that cannot be read is left out, with a warning, and named in the generation's metrics.

    Args:
        task: settings.
        scans: labelled scans.
        workspace: where everything is kept, or its folder.
        kind: how networks are made to differ; a baseline is published, but never served.
        offsets: the members to train, of `task.offsets`; all when None. A baseline is trained whole.
        executor: where members are trained; in this process when None.
        device: see `lib.networks.devices.choose_device`.
        progress: stages "reading", "training" (optimiser steps) and "cross-validation" (scans).
        gate: says why a generation must not be served; None serves it. What is held back stays as it is, and is not
            served by a later call with a gate either (`lib.publication.held_back`).

    Returns:
        The published generation, now current unless it is a baseline or held back; None while members of other
        offsets are missing.

    Raises:
        InputError: there are no usable labels, fewer patients than folds, an unknown offset or device.
        BusyError: another training runs in this workspace, or labels change at present.
        StorageError: the workspace cannot be written to.
        FloatingPointError: a training diverged.
    """
    unknown = set(offsets or ()) - set(task.offsets)
    if unknown:
        raise InputError(f"offset {min(unknown):g}: is none of the task's offsets {list(task.offsets)}")
    workspace = workspace if isinstance(workspace, Workspace) else Workspace(workspace)
    with workspace.training_lock():
        workspace.remove_leftovers()
        labelled = prepare_labelled_set(task, scans, workspace, progress)
        keys = generation_keys(kind.settings(task), kind.name, labelled)
        published = find_published(workspace, keys.generation)
        if published is None:
            result = train(
                task,
                labelled,
                keys,
                workspace,
                kind=kind,
                offsets=offsets,
                executor=executor or InProcess(),
                device=choose_device(device),
                progress=progress,
            )
            if result is None:
                return None
            published = publish(result, workspace)
            store = CheckpointStore(workspace.members)
            store.mark_used(path for paths in result.members for path in paths)
            store.remove_unused()
        if not kind.is_baseline and not workspace.is_current(published) and _may_be_served(published, workspace, gate):
            workspace.make_current(published)
        return published


def _may_be_served(generation: Generation, workspace: Workspace, gate: Gate | None) -> bool:
    if gate is None:
        release(generation)
        return True
    if read_held_back(generation) is None:
        served = _served(workspace)
        reasons = gate(generation, served)
        if not reasons:
            return True
        hold_back(generation, HeldBackBy.GATE, tuple(reasons))
    return False


def _served(workspace: Workspace) -> Generation | None:
    """The current generation; None where there is none, and where it is damaged, so that another may follow it."""
    try:
        return workspace.generation()
    except NotTrainedError:
        return None
    except DamagedGenerationError as error:
        logger.warning("Not compared with what is served: %s", error)
        return None
