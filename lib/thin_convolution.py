"""Convolutions whose gradient oneDNN gets wrong in bfloat16."""

import torch
from torch import nn


class ThinConv3d(nn.Conv3d):
    """A convolution that is done in float32 where its input is two voxels long along the first axis.

    On processors that multiply bfloat16, oneDNN 3.12 (PyTorch 2.13) gives weights of kernels that
    are 3 long there a gradient from memory that nobody wrote: random, infinite or NaN. The input and
    the result are right, and so is every other length.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Convolve (n, channels, x, y, z)."""
        if input.shape[2] != 2:
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())


def use_thin_convolutions(network: nn.Module) -> None:
    """Have a network trained on the processor avoid the wrong gradient; its weights stay.

    Args:
        network: for training on the processor; changed in place.
    """
    for module in network.modules():
        if type(module) is nn.Conv3d:
            module.__class__ = ThinConv3d
