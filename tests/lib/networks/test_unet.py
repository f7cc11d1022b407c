import pytest
import torch

from lib.networks.unet import build_network
from lib.preprocessing.patch_size import Shape, shape_factor
from lib.task.presets import PRESETS, NetworkSettings

TINY = NetworkSettings(init_filters=4, blocks_down=(1, 1, 1))


@pytest.mark.parametrize("class_count", [1, 2])
def test_one_logit_comes_out_for_the_background_and_each_class(class_count: int) -> None:
    network = build_network(TINY, class_count=class_count, spacing=(1, 1, 1)).eval()
    with torch.no_grad():
        assert network(torch.rand(2, 1, 16, 12, 8)).shape == (2, class_count + 1, 16, 12, 8)


@pytest.mark.parametrize(
    ("spacing", "factor"), [((1, 1, 1), (4, 4, 4)), ((0.8, 0.8, 5), (4, 4, 1)), ((1, 1, 2), (4, 4, 2))]
)
def test_thick_slices_are_halved_later_and_the_plan_knows_it(spacing: tuple[float, ...], factor: Shape) -> None:
    network = build_network(TINY, class_count=1, spacing=spacing)
    assert tuple(network.shape_factor()) == factor == shape_factor(spacing, stage_count=3)


def test_the_papers_network_has_its_blocks_and_filters() -> None:
    """Section 3.2: 1, 2, 6, 3 residual blocks of 32, 64, 128, 256 filters."""
    network = build_network(PRESETS["paper"].network, class_count=1, spacing=(0.8, 0.8, 5))
    blocks = [stage["blocks"] for stage in network.encoder.layers]
    assert [len(stage) for stage in blocks] == [1, 2, 6, 3]
    assert [stage[-1].conv2.out_channels for stage in blocks] == [32, 64, 128, 256]


def test_the_memory_format_changes_the_speed_and_not_the_result() -> None:
    torch.manual_seed(0)
    network = build_network(TINY, class_count=1, spacing=(1, 1, 1)).eval()
    convolution = network.encoder.layers[1]["blocks"][0].conv1.weight
    assert convolution.is_contiguous(memory_format=torch.channels_last_3d)
    plain = build_network(TINY, class_count=1, spacing=(1, 1, 1)).to(memory_format=torch.contiguous_format).eval()
    plain.load_state_dict(network.state_dict())
    image = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(network(image), plain(image), rtol=1e-4, atol=1e-5)
