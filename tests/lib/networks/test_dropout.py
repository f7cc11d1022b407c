import numpy as np
import pytest
import torch

from lib.networks.cpu_convolutions import OneDnnConv3d, use_onednn
from lib.networks.dropout import ChannelMask, fix_dropout
from lib.networks.unet import build_network
from lib.task.presets import NetworkSettings

PLAIN = NetworkSettings(init_filters=8, blocks_down=(1, 2))
WITH_DROPOUT = PLAIN.model_copy(update={"dropout": 0.5})
IMAGE = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 1, 8, 8, 8)).astype(np.float32))


def build(settings: NetworkSettings) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_network(settings, class_count=1, spacing=(1, 1, 1)).eval()


def run(network: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        return network(IMAGE)


def masked(seed: int, *, onednn: bool = False) -> torch.nn.Module:
    network = build(WITH_DROPOUT)
    fix_dropout(network, 0.5, seed=seed)
    if onednn:
        use_onednn(network, torch.device("cpu"))
    return network


def test_weights_have_the_same_names_with_and_without_dropout() -> None:
    plain = build(PLAIN).state_dict()
    assert build(WITH_DROPOUT).state_dict().keys() == plain.keys()
    assert masked(0).state_dict().keys() == plain.keys()
    build(WITH_DROPOUT).load_state_dict(plain)


def test_dropout_acts_while_training_and_not_afterwards() -> None:
    network, plain = build(WITH_DROPOUT), build(PLAIN)
    torch.testing.assert_close(run(network), run(plain))
    network.train()
    assert not torch.equal(run(network), run(network))


@pytest.mark.parametrize("onednn", [False, True])
def test_passes_differ_from_each_other_and_repeat_exactly(onednn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.networks.cpu_convolutions.computes_bfloat16", lambda _: False)
    passes = [masked(seed, onednn=onednn) for seed in range(3)]
    outputs = [run(network) for network in passes]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (outputs[one] - outputs[other]).abs().max() > 1e-3
    torch.manual_seed(5)
    for seed, (network, output) in enumerate(zip(passes, outputs, strict=True)):
        assert torch.equal(run(network), output)
        assert torch.equal(run(masked(seed, onednn=onednn)), output)
    assert any(isinstance(module, OneDnnConv3d) for module in passes[0].modules()) == (
        onednn and torch.backends.mkldnn.is_available()
    )


def test_every_block_drops_about_the_share_of_channels_that_was_asked_for_and_scales_up_the_others() -> None:
    network = build_network(NetworkSettings(init_filters=64, blocks_down=(2, 2)), class_count=1, spacing=(1, 1, 1))
    fix_dropout(network, 0.1, seed=3)
    masks = [module for module in network.modules() if isinstance(module, ChannelMask)]
    assert len(masks) == 5
    kept = torch.cat([mask.keep.flatten() for mask in masks])
    assert kept.unique().tolist() == pytest.approx([0, 1 / 0.9])
    assert (kept == 0).float().mean().item() == pytest.approx(0.1, abs=0.04)


def test_a_mask_keeps_the_numbers_format_and_leaves_other_channels_alone() -> None:
    mask = ChannelMask(torch.tensor([True, False]), 0.25)
    features = torch.ones(2, 2, 3, 3, 3, dtype=torch.bfloat16)
    masked_features = mask(features)
    assert masked_features.dtype is torch.bfloat16
    assert masked_features[:, 1].eq(0).all()
    assert masked_features[:, 0].float().mean().item() == pytest.approx(4 / 3, rel=1e-2)
