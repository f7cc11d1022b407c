"""One stage of training, on arrays."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from lib.networks.unet import build_network
from lib.preprocessing.patch_size import shape_factor
from lib.preprocessing.plan import Plan
from lib.preprocessing.prepared_scans import PreparedScan
from lib.task.presets import NetworkSettings
from lib.training import stage as training
from lib.training.stage import STAGES, Stage, stage_iterations, train_stage
from tests.tiny_training import a_ball, a_plan, a_task, ball_scan, prepared

CPU = torch.device("cpu")


@pytest.fixture
def scans(tmp_path: Path) -> list[PreparedScan]:
    return [ball_scan(tmp_path, f"scan_{seed}", seed) for seed in range(3)]


def a_network(plan: Plan | None = None, *, seed: int = 0, blocks: tuple[int, ...] = (1, 1)) -> nn.Module:
    torch.manual_seed(seed)
    settings = NetworkSettings(init_filters=4, blocks_down=blocks)
    return build_network(settings, class_count=1, spacing=(plan or a_plan()).spacing)


def train(
    network: nn.Module,
    scans: Sequence[PreparedScan],
    *,
    number: int = STAGES,
    weight: float = 0.0,
    seed: int = 0,
    plan: Plan | None = None,
    report: Callable[[int, float], None] = lambda *_: None,
    **settings: Any,
) -> nn.Module:
    task = a_task(training=settings)
    stage = Stage(number, (weight,), seed)
    train_stage(network, scans, stage, plan=plan or a_plan(), settings=task.training, device=CPU, report=report)
    return network


def weights(network: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in network.state_dict().items()}


def equal(first: nn.Module, second: nn.Module) -> bool:
    one, other = weights(first), weights(second)
    return all(np.array_equal(one[name], other[name]) for name in one)


@contextmanager
def optimizer_steps() -> Iterator[list[tuple[torch.optim.Optimizer, float]]]:
    """Optimiser and learning rate of every step."""
    steps: list[tuple[torch.optim.Optimizer, float]] = []
    handle = register_optimizer_step_pre_hook(lambda own, *_: steps.append((own, own.param_groups[0]["lr"])))
    try:
        yield steps
    finally:
        handle.remove()


def test_the_same_seed_gives_identical_weights(scans: list[PreparedScan]) -> None:
    first, again = (train(a_network(), scans, seed=5, iterations=12) for _ in range(2))
    assert equal(first, again)


def test_another_seed_or_loss_weight_gives_other_weights(scans: list[PreparedScan]) -> None:
    first = train(a_network(), scans, seed=5, iterations=12)
    assert not equal(first, train(a_network(), scans, seed=6, iterations=12))
    assert not equal(first, train(a_network(), scans, seed=5, weight=1.0, iterations=12))


def test_the_loss_goes_down_and_is_reported(scans: list[PreparedScan]) -> None:
    reports: list[tuple[int, float]] = []
    network = train(a_network(), scans, iterations=4 * 33, report=lambda step, loss: reports.append((step, loss)))
    assert [step for step, _ in reports] == [5, 10, 15, 20, 25, 30, 33]
    assert np.mean([loss for _, loss in reports[-3:]]) < 0.7 * reports[0][1]
    assert not network.training


def test_negative_loss_weights_are_sensitive_and_positive_ones_precise(scans: list[PreparedScan]) -> None:
    start = weights(train(a_network(), scans, iterations=60))
    foreground = []
    for weight in (-3.0, 3.0):
        network = a_network()
        network.load_state_dict({name: torch.from_numpy(value) for name, value in start.items()})
        train(network, scans, weight=weight, iterations=40)
        with torch.inference_mode():
            image = torch.from_numpy(np.array(scans[0].image))[None, None]
            foreground.append(int(network(image).argmax(dim=1).sum()))
    assert foreground[0] > 1.2 * foreground[1] > 0


def test_a_training_that_diverges_stops_with_a_message(scans: list[PreparedScan]) -> None:
    with pytest.raises(FloatingPointError, match=r"at step 5 of stage 2, w \(1\.0,\); lower `training.learning_rate`"):
        train(a_network(), scans, number=2, weight=1.0, iterations=40, optimizer="sgd", learning_rate=1e30)


def test_a_gradient_that_is_no_number_never_reaches_a_checkpoint(scans: list[PreparedScan]) -> None:
    """In the last step the loss is still finite while the weights are lost."""
    network = a_network()
    next(network.parameters()).register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(FloatingPointError, match="its gradient's norm nan at step 1 of stage 4"):
        train(network, scans, iterations=4)


def test_patches_and_augmentation_grow_with_the_stages(
    scans: list[PreparedScan], monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[tuple[tuple[int, ...], float]] = []
    build = training.build_augmentation

    def recorded(patch_size: tuple[int, ...], *, strength: float, **others: Any) -> Any:
        built.append((patch_size, strength))
        return build(patch_size, strength=strength, **others)

    monkeypatch.setattr(training, "build_augmentation", recorded)
    seen: list[tuple[int, ...]] = []
    network = a_network()
    network.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    plan = a_plan(patch_size=(16, 16, 12))
    for number in range(1, STAGES + 1):
        train(network, scans, number=number, plan=plan, iterations=4, batch_size=3)
    assert [strength for _, strength in built] == [0.25, 0.5, 0.75, 1.0]
    assert seen == [(3, 1, *size) for size, _ in built]
    voxels = np.prod([size for size, _ in built], axis=1) / (16 * 16 * 12)
    assert (voxels <= [1 / 4, 1 / 3, 1 / 2, 1]).all()
    assert (voxels >= [0.15, 0.25, 0.4, 1]).all()


@pytest.mark.parametrize("iterations", [4, 8, 40, 200])
def test_the_learning_rate_ascends_linearly_and_decays_by_cosine(tmp_path: Path, iterations: int) -> None:
    network = nn.Conv3d(1, 2, 1)
    plan = a_plan(patch_size=(4, 4, 4), shape_factor=(1, 1, 1))
    with optimizer_steps() as steps:
        train(network, [ball_scan(tmp_path, "a", 1)], plan=plan, iterations=iterations, batch_size=1, learning_rate=0.3)
    rates = np.array([rate for _, rate in steps])
    count = stage_iterations(a_task(training={"iterations": iterations}).training)
    ascent = max(1, round(count / 10))
    assert len(rates) == count == iterations // 4
    np.testing.assert_allclose(rates[:ascent], 0.3 * np.linspace(1 / ascent, 1, ascent + 1)[:-1] if ascent > 1 else 0.3)
    decay = np.arange(count - ascent) / max(1, count - ascent)
    np.testing.assert_allclose(rates[ascent:], 0.3 * (1 + np.cos(np.pi * decay)) / 2, atol=1e-12)
    assert rates.max() == pytest.approx(0.3)
    if count >= 50:
        assert rates[-1] < 2e-3 * 0.3


def test_the_papers_optimiser_is_nesterov_with_its_momentum_and_decay(scans: list[PreparedScan]) -> None:
    """Section 3.2."""
    with optimizer_steps() as steps:
        train(a_network(), scans, iterations=4, optimizer="sgd", learning_rate=0.02)
    group = steps[0][0].param_groups[0]
    assert isinstance(steps[0][0], torch.optim.SGD)
    assert (group["nesterov"], group["momentum"], group["weight_decay"]) == (True, 0.98, 1e-4)


def test_momentum_may_be_zero(scans: list[PreparedScan]) -> None:
    before = a_network()
    assert not equal(before, train(a_network(), scans, iterations=4, optimizer="sgd", momentum=0))


def test_the_loss_ignores_what_lies_outside_the_region(tmp_path: Path) -> None:
    shape = (20, 20, 14)
    region = a_ball(shape, (9, 10, 7), 6)
    inside = a_ball(shape, (9, 10, 7), 3)
    image = inside + np.random.default_rng(0).normal(scale=0.3, size=shape)
    # Centres and image are the same; only the label outside the region differs.
    first = prepared(tmp_path, "inside", image, inside, region)
    second = prepared(tmp_path, "everywhere", image, inside | ~region, region)
    other = prepared(tmp_path, "without", image, inside | ~region, np.ones(shape, bool))
    trained = [train(a_network(), [scan], iterations=12) for scan in (first, second, other)]
    assert equal(trained[0], trained[1])
    assert not equal(trained[0], trained[2])


def test_patches_without_any_voxel_in_the_region_train_nothing(tmp_path: Path) -> None:
    nowhere = np.zeros((12, 12, 12), bool)
    scan = prepared(tmp_path, "a", np.ones(nowhere.shape), ~nowhere, nowhere)
    network = a_network()
    trained = train(a_network(), [scan], iterations=4, optimizer="sgd", momentum=0, weight_decay=0)
    assert equal(network, trained)


@pytest.mark.parametrize(("slices", "thickness"), [(3, 6.0), (1, 6.0), (3, 1.0)])
def test_a_stack_of_few_slices_trains_through_all_stages(tmp_path: Path, slices: int, thickness: float) -> None:
    spacing = (1.0, 1.0, thickness)
    factor = shape_factor(spacing, stage_count=3)
    last = factor[2] * math.ceil(slices / factor[2])
    plan = a_plan(spacing=spacing, shape_factor=factor, patch_size=(16, 12, last), window_size=(16, 16, last))
    scans = [ball_scan(tmp_path, name, 1, (30, 26, slices)) for name in "ab"]
    network = a_network(plan, blocks=(1, 1, 1))
    before = weights(network)
    for number in range(1, STAGES + 1):
        train(network, scans, number=number, plan=plan, iterations=8)
    after = weights(network)
    assert all(np.isfinite(value).all() for value in after.values())
    assert any(not np.array_equal(before[name], after[name]) for name in before)
