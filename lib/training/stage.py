"""Training one stage of one member."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from monai.utils import set_determinism
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR
from torch.utils.data import DataLoader

from lib.networks.cpu_convolutions import use_thin_convolutions
from lib.networks.devices import mixed_precision
from lib.preprocessing.plan import Plan, stage_patch_sizes
from lib.preprocessing.prepared_scans import PreparedScan
from lib.task.presets import Optimizer, TrainingSettings
from lib.training.augmentation import IMAGE, LABEL, REGION, build_augmentation
from lib.training.loss import EnsembleLoss
from lib.training.patches import PatchDataset

STAGES = 4
"""Equal stages of a member's schedule; only the last depends on the loss weight (paper, section 3.2)."""

_WARM_UP = 0.1
_GRADIENT_NORM = 12.0


@dataclass(frozen=True)
class Stage:
    """What one stage of training consists of.

    Attributes:
        number: 1..STAGES; patches and augmentation grow with it.
        loss_weight: w, one per class.
        seed: where initial weights (stage 1) and patches come from.
    """

    number: int
    loss_weight: tuple[float, ...]
    seed: int


def stage_iterations(settings: TrainingSettings) -> int:
    """Optimiser steps of one stage."""
    return settings.iterations // STAGES


def train_stage(
    network: nn.Module,
    scans: Sequence[PreparedScan],
    stage: Stage,
    *,
    plan: Plan,
    settings: TrainingSettings,
    device: torch.device,
    report: Callable[[int, float], None],
) -> None:
    """Train a network through one stage, in place.

    Args:
        network: on `device`; from the stage before, or untrained for stage 1.
        scans: training scans of the fold, at least one.
        stage: what is trained.
        plan: patch shapes.
        settings: schedule.
        device: where the network is.
        report: called with the steps done and the present loss, several times a second.

    Raises:
        FloatingPointError: the loss or its gradient became NaN or infinite.
    """
    set_determinism(stage.seed)
    iterations = stage_iterations(settings)
    optimizer = _build_optimizer(network, settings)
    schedule = _build_schedule(optimizer, iterations)
    criterion = EnsembleLoss(stage.loss_weight)
    if device.type == "cpu":
        use_thin_convolutions(network)
    network.train()
    for step, batch in enumerate(_load_batches(scans, stage, plan, settings, device), start=1):
        image = batch[IMAGE].to(device, non_blocking=True, memory_format=torch.channels_last_3d)
        with mixed_precision(device):
            logits = network(image)
        loss = criterion(logits.float(), batch[LABEL].to(device), batch[REGION].to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), _GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        if step % 5 == 0 or step == iterations:
            value = loss.item()
            if not (math.isfinite(value) and math.isfinite(norm.item())):
                raise FloatingPointError(
                    f"loss is {value}, its gradient's norm {norm.item()} "
                    f"at step {step} of stage {stage.number}, w {stage.loss_weight}; "
                    "lower `training.learning_rate` in the task file"
                )
            report(step, value)
    network.eval()


def _load_batches(
    scans: Sequence[PreparedScan], stage: Stage, plan: Plan, settings: TrainingSettings, device: torch.device
) -> DataLoader[dict[str, torch.Tensor]]:
    patch_size = stage_patch_sizes(plan)[stage.number - 1]
    augmentation = build_augmentation(
        patch_size, spacing=plan.spacing, strength=stage.number / STAGES, mirror_axes=settings.mirror_axes
    )
    dataset = PatchDataset(
        scans,
        augmentation,
        patch_size=patch_size,
        batch_size=settings.batch_size,
        batches=stage_iterations(settings),
        seed=stage.seed,
    )
    # On the processor loading would only take cores from training.
    workers = 8 if device.type == "cuda" else 0
    return DataLoader(dataset, settings.batch_size, num_workers=workers, pin_memory=device.type == "cuda")


def _build_optimizer(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    if settings.optimizer is Optimizer.ADAMW:
        return torch.optim.AdamW(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
    return torch.optim.SGD(
        network.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.momentum > 0,
    )


def _build_schedule(optimizer: torch.optim.Optimizer, iterations: int) -> LRScheduler:
    ascent = max(1, round(_WARM_UP * iterations))
    return SequentialLR(
        optimizer,
        [
            LinearLR(optimizer, start_factor=1 / ascent, total_iters=ascent),
            CosineAnnealingLR(optimizer, T_max=max(1, iterations - ascent)),
        ],
        milestones=[ascent],
    )
