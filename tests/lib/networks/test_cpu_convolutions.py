"""Convolutions on the CPU: inference in oneDNN, and gradients in bfloat16."""

import pytest
import torch
from torch import nn

from lib.networks.cpu_convolutions import OneDnnConv3d, ThinConv3d, use_onednn, use_thin_convolutions
from lib.networks.unet import build_network
from lib.task.presets import PRESETS
from lib.training.loss import EnsembleLoss

CPU = torch.device("cpu")

with_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN")


@pytest.fixture
def without_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.networks.cpu_convolutions.computes_bfloat16", lambda _: False)


@with_onednn
@pytest.mark.usefixtures("without_bfloat16")
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 5.0)])
def test_the_network_gives_the_same_logits(batch: int, spacing: tuple[float, float, float]) -> None:
    torch.manual_seed(0)
    network = build_network(PRESETS["small"].network, class_count=2, spacing=spacing).eval()
    windows = torch.randn(batch, 1, 16, 24, 16)
    with torch.inference_mode():
        expected = network(windows)
        use_onednn(network, CPU)
        torch.testing.assert_close(network(windows), expected, rtol=1e-4, atol=1e-4)


@with_onednn
@pytest.mark.usefixtures("without_bfloat16")
def test_every_convolution_is_changed_and_no_weight() -> None:
    network = build_network(PRESETS["demo"].network, class_count=1, spacing=(1.0, 1.0, 1.0))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    use_onednn(network, CPU)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv3d)]
    assert convolutions
    assert all(type(module) is OneDnnConv3d for module in convolutions)
    assert before.keys() == network.state_dict().keys()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@with_onednn
@pytest.mark.usefixtures("without_bfloat16")
def test_a_convolution_that_onednn_cannot_pad_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1, padding_mode="reflect"))
    use_onednn(network, CPU)
    assert type(network[0]) is nn.Conv3d


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
