"""Network sizes and training schedules that fit a kind of machine."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]


class Optimizer(StrEnum):
    """The paper's SGD with Nesterov momentum, or AdamW for short schedules."""

    SGD = "sgd"
    ADAMW = "adamw"


class NetworkSettings(BaseModel):
    """Shape of the residual-encoder U-Net (paper, section 3.2)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    init_filters: Positive
    """Filters of the first stage; every further stage doubles them."""
    blocks_down: tuple[Positive, ...]
    """Residual blocks of each encoder stage."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which a channel is dropped in training."""


class TrainingSettings(BaseModel):
    """Schedule of one member: four equal stages with growing patches (paper, section 3.2)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    iterations: Annotated[int, Field(ge=4)]
    """Optimiser steps of all four stages together."""
    batch_size: Positive
    patch_voxels: Annotated[int, Field(ge=512)]
    """Voxels of a full-size patch; the plan gives it its shape."""
    optimizer: Optimizer
    learning_rate: Annotated[float, Field(gt=0)]
    """Maximum rate, reached at the end of the linear ascent."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.98
    """Nesterov momentum of SGD."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    mirror_axes: tuple[Literal[0, 1, 2], ...] = (0,)
    """Axes that augmentation may flip: 0 left-right, 1 posterior-anterior, 2 inferior-superior."""


class Preset(BaseModel):
    """A network and the schedule that trains it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: NetworkSettings
    training: TrainingSettings


PRESETS: dict[str, Preset] = {
    "paper": Preset(
        network=NetworkSettings(init_filters=32, blocks_down=(1, 2, 6, 3)),
        training=TrainingSettings(
            iterations=100_000,
            batch_size=4,
            patch_voxels=128 * 128 * 32,
            optimizer=Optimizer.SGD,
            learning_rate=0.02,
            mirror_axes=(0, 1, 2),
        ),
    ),
    "small": Preset(
        network=NetworkSettings(init_filters=8, blocks_down=(1, 2, 2, 2)),
        training=TrainingSettings(
            iterations=1_000,
            batch_size=2,
            patch_voxels=32 * 48 * 32,
            optimizer=Optimizer.ADAMW,
            learning_rate=3e-3,
        ),
    ),
    "demo": Preset(
        network=NetworkSettings(init_filters=8, blocks_down=(1, 1, 1)),
        training=TrainingSettings(
            iterations=240,
            batch_size=2,
            patch_voxels=32 * 32 * 16,
            optimizer=Optimizer.ADAMW,
            learning_rate=4e-3,
        ),
    ),
}
