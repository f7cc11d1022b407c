"""Convolutions in oneDNN."""

import pytest
import torch
from torch import nn

from lib.networks.cpu_convolutions import OneDnnConv3d, use_onednn
from lib.networks.unet import build_network
from lib.task.presets import PRESETS

CPU = torch.device("cpu")

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN")


@pytest.fixture(autouse=True)
def without_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.networks.cpu_convolutions.computes_bfloat16", lambda _: False)


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


def test_every_convolution_is_changed_and_no_weight() -> None:
    network = build_network(PRESETS["demo"].network, class_count=1, spacing=(1.0, 1.0, 1.0))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    use_onednn(network, CPU)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv3d)]
    assert convolutions
    assert all(type(module) is OneDnnConv3d for module in convolutions)
    assert before.keys() == network.state_dict().keys()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_convolution_that_onednn_cannot_pad_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1, padding_mode="reflect"))
    use_onednn(network, CPU)
    assert type(network[0]) is nn.Conv3d
