"""What a member is: all that its training depends on, and the keys under which its stages are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lib.preprocessing.plan import Plan
from lib.storage.digest import digest_chain, digest_seed, digest_settings
from lib.task.presets import NetworkSettings, TrainingSettings
from lib.task.task import Task
from lib.training.folds import Fold
from lib.training.loss import LossWeight
from lib.training.stage import STAGES, Stage

COMPUTATION_VERSION = 1
"""Raised when the same scans and settings give other networks, evaluations or fits, so that these are made again."""


@dataclass(frozen=True)
class MemberJob:
    """One network that is to be trained; it can be pickled and does nothing by itself.

    A member passes through stages 1 to 3, which all members of its fold share and which are trained
    at w = 0, and through stage 4 at its loss weight (paper, section 3.2).

    Attributes:
        fold: whose training scans it is trained on.
        weight: loss weight, one number per class.
        network: shape of the network.
        schedule: iterations, optimiser and augmentation.
        plan: preprocessing that the scans went through.
        labels: name of each foreground class and its value in label files, in the order of the classes.
        seed: of the task.
    """

    fold: Fold
    weight: LossWeight
    network: NetworkSettings
    schedule: TrainingSettings
    plan: Plan
    labels: tuple[tuple[str, int], ...]
    seed: int

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Digest of all that each of the four stages depends on; members of a fold share the first three."""
        base = digest_settings(
            {
                "recipe": COMPUTATION_VERSION,
                "scans": [scan.digest for scan in self.fold.training],
                "labels": self.labels,
                "plan": self.plan.model_dump(mode="json", exclude={"window_size"}),
                # A setting that is new keeps the members that were trained without it.
                "network": self.network.model_dump(mode="json", exclude_defaults=True),
                "training": self.schedule.model_dump(mode="json"),
                "seed": self.seed,
                "fold": self.fold.number,
            }
        )
        return digest_chain(base, [[number, weight] for number, weight in enumerate(self._weights, 1)])

    @property
    def key(self) -> str:
        """Digest of all that the member depends on."""
        return self.keys[-1]

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What is trained one after the other, each seeded by its key."""
        return tuple(
            Stage(number, weight, seed=digest_seed(key))
            for number, (weight, key) in enumerate(zip(self._weights, self.keys, strict=True), 1)
        )

    @property
    def _weights(self) -> tuple[LossWeight, ...]:
        return ((0.0,) * len(self.weight),) * (STAGES - 1) + (self.weight,)


def member_jobs(
    task: Task, plan: Plan, folds: Sequence[Fold], weights: Sequence[LossWeight]
) -> tuple[tuple[MemberJob, ...], ...]:
    """Give the members of every fold at every loss weight, `[fold][weight]`.

    Args:
        task: network, schedule, classes and seed.
        plan: preprocessing that the scans went through.
        folds: from `lib.training.folds.split_folds`.
        weights: loss weights, one number per class each.
    """
    return tuple(
        tuple(
            MemberJob(
                fold,
                weight,
                network=task.network,
                schedule=task.training,
                plan=plan,
                labels=tuple(task.labels.items()),
                seed=task.seed,
            )
            for weight in weights
        )
        for fold in folds
    )
