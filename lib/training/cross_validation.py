"""The members of every fold at any loss weight, each trained at most once."""

from collections.abc import Sequence
from pathlib import Path

import torch
from monai.networks.nets import SegResNetDS

from lib.networks.cpu_convolutions import use_onednn
from lib.networks.unet import build_network
from lib.preprocessing.plan import Plan
from lib.progress import Progress
from lib.storage.digest import digest_settings
from lib.task.task import Task
from lib.training.checkpoints import MemberStore
from lib.training.folds import Fold
from lib.training.member_keys import RECIPE, LossWeight, _seed, chain_keys
from lib.training.stage import STAGES, Stage, stage_iterations, train_stage


class CrossValidation:
    """Trains members and finds those that are trained.

    A member of a fold at loss weight w passes through stages 1 to 3, which all members of the
    fold share and which are trained at w = 0, and through stage 4 at w (paper, section 3.2).
    Every stage is stored under a key of what it depends on: the fold's training scans and
    labels, the plan, the network, the schedule and the seed.

    Args:
        folds: from `split_folds`.
        task: settings.
        plan: preprocessing that the scans went through.
        store: where checkpoints are kept.
        device: where networks are trained.
        progress: told of every few optimiser steps, as the stage "training".
    """

    def __init__(
        self,
        folds: Sequence[Fold],
        *,
        task: Task,
        plan: Plan,
        store: MemberStore,
        device: torch.device,
        progress: Progress,
    ):
        self.folds = folds
        self.task = task
        self.plan = plan
        self.device = device
        self._store = store
        self._progress = progress
        self._done = 0
        self._planned = 0

    def member_key(self, fold: Fold, weight: LossWeight) -> str:
        """Digest of everything that the member depends on."""
        return self._keys(fold, weight)[-1]

    def member_path(self, fold: Fold, weight: LossWeight) -> Path:
        """File of the member's weights, whether it is trained or not."""
        return self._store.path(self.member_key(fold, weight))

    def varied(self, folds: Sequence[Fold], task: Task) -> "CrossValidation":
        """Give the same with other folds and settings."""
        return CrossValidation(
            folds, task=task, plan=self.plan, store=self._store, device=self.device, progress=self._progress
        )

    def is_trained(self, weight: LossWeight) -> bool:
        """Whether the members of all folds at this loss weight are there."""
        return all(self._store.has(self.member_key(fold, weight)) for fold in self.folds)

    def train(self, weights: Sequence[LossWeight]) -> None:
        """Train the members that are missing at these loss weights.

        Raises:
            InputError: a checkpoint cannot be written.
            FloatingPointError: a training diverged.
        """
        self._planned = self._done + self._steps_left(weights)
        for fold in self.folds:
            for weight in weights:
                if not self._store.has(self.member_key(fold, weight)):
                    self._train_member(fold, weight)

    def load(self, fold: Fold, weight: LossWeight) -> SegResNetDS:
        """Give a trained member for inference, on the device and in evaluation mode."""
        network = self._build()
        self._store.load(self.member_key(fold, weight), network)
        use_onednn(network, self.device)
        return network.to(self.device).eval()

    def _train_member(self, fold: Fold, weight: LossWeight) -> None:
        keys = self._keys(fold, weight)
        trained = max((number for number, key in enumerate(keys, 1) if self._store.has(key)), default=0)
        torch.manual_seed(_seed(keys[0]))
        network = self._build()
        if trained:
            self._store.load(keys[trained - 1], network)
        network.to(self.device)
        for stage, key in zip(self._stages(fold, weight)[trained:], keys[trained:], strict=True):
            done = self._done

            def report(step: int, loss: float, done: int = done, stage: Stage = stage) -> None:
                self._done = done + step
                self._progress(
                    "training",
                    self._done,
                    self._planned,
                    loss=loss,
                    fold=fold.number + 1,
                    stage=stage.number,
                    **{f"w_{name}": value for name, value in zip(self.task.classes, stage.loss_weight, strict=True)},
                )

            train_stage(
                network,
                fold.training,
                stage,
                plan=self.plan,
                settings=self.task.training,
                device=self.device,
                report=report,
            )
            self._store.save(key, network)

    def _steps_left(self, weights: Sequence[LossWeight]) -> int:
        keys = {key for fold in self.folds for weight in weights for key in self._missing(fold, weight)}
        return len(keys) * stage_iterations(self.task.training)

    def _missing(self, fold: Fold, weight: LossWeight) -> list[str]:
        keys = self._keys(fold, weight)
        trained = max((number for number, key in enumerate(keys, 1) if self._store.has(key)), default=0)
        return keys[trained:]

    def _stages(self, fold: Fold, weight: LossWeight) -> list[Stage]:
        """Stages of a member, seeded by what they depend on."""
        neutral = (0.0,) * len(weight)
        return [
            Stage(number, weight if number == STAGES else neutral, seed=_seed(key))
            for number, key in enumerate(self._keys(fold, weight), 1)
        ]

    def _keys(self, fold: Fold, weight: LossWeight) -> list[str]:
        neutral = (0.0,) * len(weight)
        base = digest_settings(
            {
                "recipe": RECIPE,
                "scans": [scan.digest for scan in fold.training],
                "labels": list(self.task.labels.items()),
                "plan": self.plan.model_dump(mode="json", exclude={"window_size"}),
                # A setting that is new keeps the members that were trained without it.
                "network": self.task.network.model_dump(mode="json", exclude_defaults=True),
                "training": self.task.training.model_dump(mode="json"),
                "seed": self.task.seed,
                "fold": fold.number,
            }
        )
        return chain_keys(base, [[number, neutral] for number in range(1, STAGES)] + [[STAGES, weight]])

    def _build(self) -> SegResNetDS:
        return build_network(self.task.network, class_count=len(self.task.labels), spacing=self.plan.spacing)
