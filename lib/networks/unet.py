"""The residual-encoder U-Net of one member."""

from collections.abc import Sequence

import torch
from monai.networks.nets import SegResNetDS

from lib.networks.dropout import add_dropout
from lib.task.presets import NetworkSettings


def build_network(settings: NetworkSettings, *, class_count: int, spacing: Sequence[float]) -> SegResNetDS:
    """Build an untrained member (paper, section 3.2).

    Args:
        settings: filters, blocks and dropout.
        class_count: foreground classes C; the network gives C + 1 logits per voxel, background first.
        spacing: millimetres along each axis; axes with thick slices are downsampled later.

    Returns:
        A network from (batch, 1, x, y, z) to (batch, C + 1, x, y, z). Its `shape_factor()` tells
        what every axis of the input must be a multiple of.
    """
    network = SegResNetDS(
        spatial_dims=3,
        init_filters=settings.init_filters,
        in_channels=1,
        out_channels=class_count + 1,
        blocks_down=settings.blocks_down,
        norm="instance",
        dsdepth=1,
        resolution=tuple(spacing),
    )
    if settings.dropout > 0:
        add_dropout(network, settings.dropout)
    # Channels last trains faster with few filters on CPU (benchmarks/speed/training_step.py).
    return network.to(memory_format=torch.channels_last_3d)
