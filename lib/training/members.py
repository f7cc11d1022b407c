"""Training the members that are missing, and loading those that are there."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import torch
from monai.networks.nets import SegResNetDS

from lib.executors.executor import Executor, Work
from lib.networks.cpu_convolutions import use_onednn
from lib.networks.unet import build_network
from lib.progress import JointProgress, Progress
from lib.storage.digest import digest_seed
from lib.training.checkpoints import CheckpointStore
from lib.training.member_job import MemberJob
from lib.training.stage import Stage, stage_iterations, train_stage


def train_members(
    jobs: Iterable[MemberJob],
    store: CheckpointStore,
    *,
    executor: Executor,
    device: torch.device,
    progress: Progress,
    steps_before: int = 0,
) -> int:
    """Train the members that are missing, each once, and the stages that members share once for all of them.

    Args:
        jobs: members; one that comes twice is trained once.
        store: where checkpoints are kept.
        executor: where the training is done.
        device: of the networks.
        progress: told of every few optimiser steps, as the stage "training".
        steps_before: optimiser steps of the same run that `progress` was told of before.

    Returns:
        Optimiser steps of the run so far.

    Raises:
        StorageError: a checkpoint cannot be written.
        FloatingPointError: a training diverged.
    """
    missing = list({job.key: job for job in jobs if not store.has(job.key)}.values())
    steps = {key: stage_iterations(job.schedule) for job in missing for key in _keys_left(job, store)}
    total = steps_before + sum(steps.values())
    joint = JointProgress(progress, done=steps_before, total=total)
    works: list[Work] = []
    # Of the members that share stages which are not there, the first trains them.
    first: dict[str, int] = {}
    for number, job in enumerate(missing):
        shared = job.keys[-2]
        after = None if store.has(shared) else first.setdefault(shared, number)
        call = partial(train_member, job, store, device=device)
        works.append(Work(call, joint.part(), after=None if after == number else after))
    for _ in executor.run(works):
        pass
    return total


def train_member(job: MemberJob, store: CheckpointStore, *, device: torch.device, progress: Progress) -> Path:
    """Train the stages of a member that are missing; whatever stage is finished is kept.

    Args:
        job: the member.
        store: where checkpoints are kept.
        device: where the network is trained.
        progress: told of every few optimiser steps of the missing stages, as the stage "training", with the loss,
            the fold counted from 1, the stage and the loss weights.

    Returns:
        File of the member's weights.

    Raises:
        StorageError: a checkpoint cannot be written.
        InputError: one that is there is damaged.
        FloatingPointError: the training diverged.
    """
    left = _keys_left(job, store)
    trained = len(job.keys) - len(left)
    torch.manual_seed(digest_seed(job.keys[0]))
    network = _build(job)
    if trained:
        store.load(job.keys[trained - 1], network)
    network.to(device)
    steps = stage_iterations(job.schedule)
    for number, (stage, key) in enumerate(zip(job.stages[trained:], left, strict=True)):
        train_stage(
            network,
            job.fold.training,
            stage,
            plan=job.plan,
            settings=job.schedule,
            device=device,
            report=_StageProgress(progress, job, stage, before=number * steps, total=len(left) * steps),
        )
        store.save(key, network)
    return store.path(job.key)


def load_member(job: MemberJob, store: CheckpointStore, *, device: torch.device) -> SegResNetDS:
    """Give a trained member for inference, on the device and in evaluation mode.

    Raises:
        InputError: it is not trained, or its file is damaged.
    """
    network = _build(job)
    store.load(job.key, network)
    use_onednn(network, device)
    return network.to(device).eval()


class _StageProgress:
    """Tells of the steps of one stage as steps of the member."""

    def __init__(self, progress: Progress, job: MemberJob, stage: Stage, *, before: int, total: int):
        self._progress = progress
        self._before = before
        self._total = total
        weights = zip(job.labels, stage.loss_weight, strict=True)
        self._figures: dict[str, float] = {"fold": job.fold.number + 1, "stage": stage.number}
        self._figures |= {f"w_{name}": weight for (name, _), weight in weights}

    def __call__(self, step: int, loss: float) -> None:
        self._progress("training", self._before + step, self._total, loss=loss, **self._figures)


def _keys_left(job: MemberJob, store: CheckpointStore) -> tuple[str, ...]:
    """Keys of the stages after the last one that is there."""
    trained = max((number for number, key in enumerate(job.keys, 1) if store.has(key)), default=0)
    return job.keys[trained:]


def _build(job: MemberJob) -> SegResNetDS:
    return build_network(job.network, class_count=len(job.labels), spacing=job.plan.spacing)
