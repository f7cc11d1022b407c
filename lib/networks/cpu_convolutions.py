"""Convolutions of members at inference on the processor."""

from typing import cast

import torch
from torch import nn

from lib.networks.devices import computes_bfloat16


class OneDnnConv3d(nn.Conv3d):
    """A convolution that always runs in oneDNN.

    For one window with few filters PyTorch takes its own convolution instead, which is six times
    as slow (benchmarks/speed/heatmap.py).
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Convolve (n, channels, x, y, z), float32 on the processor."""
        padding = cast(tuple[int, ...], self.padding)  # `use_onednn` leaves paddings with a name alone
        return torch.mkldnn_convolution(input, self.weight, self.bias, padding, self.stride, self.dilation, self.groups)


def use_onednn(network: nn.Module, device: torch.device) -> None:
    """Have a network's convolutions run in oneDNN, where PyTorch would not choose it by itself.

    Args:
        network: for inference; changed in place, its weights stay.
        device: where it runs; nothing changes on a GPU, or where autocast to bfloat16 is used,
            which runs in oneDNN anyway.
    """
    if device.type != "cpu" or computes_bfloat16(device) or not torch.backends.mkldnn.is_available():
        return
    for module in network.modules():
        if type(module) is nn.Conv3d and module.padding_mode == "zeros" and not isinstance(module.padding, str):
            module.__class__ = OneDnnConv3d


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
