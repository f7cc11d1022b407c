"""Dropout of whole channels, in training and in Monte Carlo passes."""

from typing import Any

import torch
from monai.networks.nets import SegResNetDS
from monai.networks.nets.segresnet_ds import SegResBlock
from torch import nn


class ChannelMask(nn.Module):
    """Keeps some channels and drops the others, always the same.

    Args:
        keep: bool (channels,), which to keep.
        probability: with which a channel is dropped; those kept are scaled up in its measure.
    """

    keep: torch.Tensor

    def __init__(self, keep: torch.Tensor, probability: float):
        super().__init__()
        # Not among the weights: a network with masks has the weights of one without.
        self.register_buffer("keep", keep[:, None, None, None] / (1 - probability), persistent=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Mask features (n, channels, x, y, z)."""
        return features * self.keep.to(features.dtype)


def add_dropout(network: SegResNetDS, probability: float) -> None:
    """Have every residual block drop channels before its second convolution, while training.

    Args:
        network: changed in place; the names of its weights stay.
        probability: with which each channel is dropped, 0..1.
    """
    for block in _blocks(network):
        block.act2 = nn.Sequential(block.act2, nn.Dropout3d(probability))


def fix_dropout(network: SegResNetDS, probability: float, *, seed: int) -> None:
    """Make a network the one that a pass of Monte Carlo dropout draws.

    The same channels are dropped in all windows of all scans: a scan has no seams between its windows,
    and answers do not depend on what else is computed at the time.

    Args:
        network: for inference; changed in place, the names of its weights stay.
        probability: that it was trained with.
        seed: of the pass.
    """
    generator = torch.Generator().manual_seed(seed)
    for block in _blocks(network):
        keep = torch.rand(block.conv2.in_channels, generator=generator) >= probability
        block.act2 = nn.Sequential(block.act2, ChannelMask(keep, probability))


def _blocks(network: SegResNetDS) -> list[Any]:
    return [module for module in network.modules() if isinstance(module, SegResBlock)]
