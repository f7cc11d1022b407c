"""Gradients of convolutions in bfloat16."""

import pytest
import torch
from torch import nn

from lib.networks.cpu_convolutions import ThinConv3d, use_thin_convolutions
from lib.networks.unet import build_network
from lib.task.presets import PRESETS
from lib.training.loss import EnsembleLoss


def _gradient(network: nn.Module, image: torch.Tensor, label: torch.Tensor, *, bfloat16: bool) -> torch.Tensor:
    """All gradients of a training step, in one vector."""
    network.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        logits = network(image)
    EnsembleLoss((0.0,))(logits.float(), label).backward()
    return torch.cat([parameter.grad.flatten() for parameter in network.parameters() if parameter.grad is not None])


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 6.0)])
@pytest.mark.parametrize("size", [(16, 24, 32), (8, 16, 16), (16, 16, 16), (24, 16, 16)])
def test_the_gradient_of_a_member_in_bfloat16_is_that_of_float32(
    size: tuple[int, int, int], spacing: tuple[float, float, float]
) -> None:
    torch.manual_seed(0)
    network = build_network(PRESETS["small"].network, class_count=1, spacing=spacing).train()
    use_thin_convolutions(network)
    image = torch.randn(2, 1, *size).to(memory_format=torch.channels_last_3d)
    label = (torch.rand(2, *size) < 0.3).long()
    exact = _gradient(network, image, label, bfloat16=False)
    rounded = _gradient(network, image, label, bfloat16=True)
    # Eight bits of mantissa; what oneDNN leaves unwritten is off by 26 % to infinitely much.
    assert (rounded - exact).norm() < 0.15 * exact.norm()


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_convolution_keeps_its_weights_and_results(length: int) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv3d(4, 4, 3, padding=1)
    image = torch.randn(1, 4, length, 5, 6)
    expected, weight = convolution(image), convolution.weight.clone()
    use_thin_convolutions(convolution)
    assert type(convolution) is ThinConv3d
    torch.testing.assert_close(convolution(image), expected, rtol=0, atol=0)
    assert torch.equal(convolution.weight, weight)
