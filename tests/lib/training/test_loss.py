import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.losses import TverskyLoss

from lib.training.loss import EnsembleLoss

GRID = (3, 4, 2)


def random_batch(seed, classes, grid=GRID, batch=2, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(batch, classes + 1, *grid, generator=generator, dtype=dtype)
    label = torch.randint(0, classes + 1, (batch, *grid), generator=generator)
    region = torch.rand(batch, *grid, generator=generator) > 0.4
    return logits, label, region


def loss_by_loop(logits, label, weights, region=None):
    """Eq. 1 as corrected in the design, voxel by voxel in plain Python."""
    logits, label = logits.detach().numpy(), label.numpy()
    classes = len(weights)
    tp, fp, fn = ([0.0] * (classes + 1) for _ in range(3))
    entropy, voxels = 0.0, 0
    for place in itertools.product(*(range(n) for n in label.shape)):
        if region is not None and not region[place]:
            continue
        voxels += 1
        z = [float(logits[(place[0], c, *place[1:])]) for c in range(classes + 1)]
        p = [math.exp(v) / sum(math.exp(u) for u in z) for v in z]
        y = int(label[place])
        entropy -= (math.exp(-weights[y - 1]) if y > 0 else 1.0) * math.log(p[y])
        for c in range(1, classes + 1):
            tp[c] += p[c] * (y == c)
            fp[c] += p[c] * (y != c)
            fn[c] += (1 - p[c]) * (y == c)
    overlap = 0.0
    for c, w in enumerate(weights, start=1):
        alpha, beta = 1 / (1 + math.exp(-w)), 1 / (1 + math.exp(w))
        overlap += (tp[c] + 1e-5) / (tp[c] + alpha * fp[c] + beta * fn[c] + 1e-5)
    return entropy / max(voxels, 1) + 1 - overlap / classes


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    weights=st.lists(st.floats(-4, 4), min_size=1, max_size=3),
    grid=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    batch=st.integers(1, 3),
    masked=st.booleans(),
)
def test_equals_the_voxel_by_voxel_formula(seed, weights, grid, batch, masked):
    logits, label, region = random_batch(seed, len(weights), tuple(grid), batch)
    region = region if masked else None
    value = EnsembleLoss(weights)(logits, label, region)
    assert value.item() == pytest.approx(loss_by_loop(logits, label, weights, region), rel=1e-9)


@pytest.mark.parametrize("weight", [-1.5, 0.0, 2.0])
def test_overlap_is_monais_tversky_with_alpha_on_false_positives(weight):
    logits, label, _ = random_batch(1, classes=2)
    cross_entropy = torch.nn.functional.cross_entropy(
        logits, label, weight=torch.tensor([1.0, math.exp(-weight), math.exp(-weight)]).double(), reduction="sum"
    )
    tversky = TverskyLoss(
        include_background=False,
        to_onehot_y=True,
        softmax=True,
        alpha=1 / (1 + math.exp(-weight)),
        beta=1 / (1 + math.exp(weight)),
        batch=True,
        smooth_nr=1e-5,
        smooth_dr=1e-5,
    )(logits, label[:, None])
    expected = cross_entropy / label.numel() + tversky
    torch.testing.assert_close(EnsembleLoss([weight, weight])(logits, label), expected, rtol=1e-6, atol=0)


def test_zero_weight_is_cross_entropy_plus_soft_dice():
    logits, label, _ = random_batch(2, classes=1)
    p, y = logits.softmax(1)[:, 1], (label == 1).double()
    dice = 2 * (p * y).sum() / (p.sum() + y.sum())
    expected = torch.nn.functional.cross_entropy(logits, label) + 1 - dice
    torch.testing.assert_close(EnsembleLoss([0.0])(logits, label), expected, rtol=1e-5, atol=0)


def test_cross_entropy_is_not_divided_by_the_class_weights():
    logits, label = torch.zeros(1, 2, 4, dtype=torch.float64), torch.ones(1, 4, dtype=torch.int64)
    doubled = EnsembleLoss([-math.log(2)])(logits, label) - loss_overlap_only(-math.log(2))
    assert doubled.item() == pytest.approx(2 * math.log(2))


def loss_overlap_only(weight):
    """Overlap loss of four foreground voxels at p = 1/2, by hand."""
    beta = 1 / (1 + math.exp(weight))
    return 1 - 2 / (2 + beta * 2)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("weights", [[0.0], [-3.0, 1.5]])
def test_gradient_is_right(weights, masked):
    logits, label, region = random_batch(3, len(weights), grid=(2, 3, 2))
    logits.requires_grad_()
    loss = EnsembleLoss(weights)
    assert torch.autograd.gradcheck(lambda z: loss(z, label, region if masked else None), (logits,))


def test_region_is_the_same_as_cutting_the_other_voxels_out():
    logits, label, region = random_batch(4, classes=2)
    logits.requires_grad_()
    loss = EnsembleLoss([-1.0, 2.0])
    inside = logits.movedim(1, -1)[region].T[None]
    cut = loss(inside, label[region][None])
    masked = loss(logits, label, region)
    torch.testing.assert_close(masked, cut)
    (gradient,) = torch.autograd.grad(masked, logits)
    (expected,) = torch.autograd.grad(cut, logits)
    torch.testing.assert_close(gradient, expected)
    assert gradient.movedim(1, -1)[~region].abs().max() == 0


def test_whole_region_is_the_same_as_none():
    logits, label, region = random_batch(5, classes=2)
    loss = EnsembleLoss([1.0, -2.0])
    torch.testing.assert_close(loss(logits, label, torch.ones_like(region)), loss(logits, label))


def test_empty_region_costs_nothing_and_keeps_the_graph():
    logits, label, region = random_batch(6, classes=2)
    logits.requires_grad_()
    value = EnsembleLoss([0.5, -0.5])(logits, label, torch.zeros_like(region))
    assert value.item() == 0
    value.backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0


def test_perfect_prediction_costs_nothing():
    _, label, _ = random_batch(7, classes=2)
    logits = 200.0 * torch.nn.functional.one_hot(label, 3).movedim(-1, 1).double()
    assert EnsembleLoss([-2.0, 2.0])(logits, label).item() == pytest.approx(0, abs=1e-9)


def test_absent_class_costs_nothing_unpredicted_and_its_share_when_predicted():
    label = torch.zeros(1, 2, 2, 2, dtype=torch.int64)
    label[0, 0] = 1
    logits = torch.full((1, 3, 2, 2, 2), -400.0, dtype=torch.float64)
    logits.scatter_(1, label[:, None], 400.0)
    loss = EnsembleLoss([0.0, 0.0])
    assert loss(logits, label).item() == pytest.approx(0, abs=1e-9)
    softer = logits / 100
    overlap_of_the_other_class = 1 / 2
    assert loss(softer, label).item() == pytest.approx(1 - overlap_of_the_other_class, abs=0.02)


@pytest.mark.parametrize("weight", [-3.0, -1.0])
def test_negative_weight_punishes_misses_and_positive_weight_false_alarms(weight):
    label = torch.zeros(1, 10, dtype=torch.int64)
    label[0, :4] = 1
    missing, raising = label.clone(), label.clone()
    missing[0, 0] = 0
    raising[0, 4] = 1

    def cost(w, prediction):
        logits = 6.0 * torch.nn.functional.one_hot(prediction, 2).movedim(-1, 1).double()
        return EnsembleLoss([w])(logits, label).item()

    assert cost(weight, missing) > cost(weight, raising)
    assert cost(-weight, missing) < cost(-weight, raising)


def test_weights_of_two_classes_do_not_swap():
    logits, label, _ = random_batch(8, classes=2)
    forth = EnsembleLoss([-2.0, 1.0])(logits, label)
    swapped = label.clone()
    swapped[label == 1], swapped[label == 2] = 2, 1
    back = EnsembleLoss([1.0, -2.0])(logits[:, [0, 2, 1]], swapped)
    torch.testing.assert_close(forth, back)
    assert not torch.isclose(forth, EnsembleLoss([1.0, -2.0])(logits, label))


def test_autocast_and_bfloat16_logits_are_computed_in_float32():
    logits, label, region = random_batch(9, classes=2, grid=(8, 8, 8), dtype=torch.float32)
    loss = EnsembleLoss([-1.0, 1.0])
    half = logits.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside_autocast = loss(half, label, region)
        from_float = loss(logits, label, region)
    assert inside_autocast.dtype == torch.float32
    torch.testing.assert_close(inside_autocast, loss(half.float(), label, region), rtol=0, atol=0)
    torch.testing.assert_close(from_float, loss(logits, label, region), rtol=0, atol=0)


def test_float32_agrees_with_float64_on_a_large_faint_volume():
    generator = torch.Generator().manual_seed(10)
    logits = torch.randn(1, 2, 64, 64, 64, generator=generator, dtype=torch.float64)
    logits[:, 0] += 8
    label = (torch.rand(1, 64, 64, 64, generator=generator) > 0.999).long()
    loss = EnsembleLoss([-2.0])
    assert loss(logits.float(), label).item() == pytest.approx(loss(logits, label).item(), rel=1e-5)


def test_extreme_logits_stay_finite():
    logits = torch.tensor([[[1e4, -1e4], [-1e4, 1e4]]], requires_grad=True)
    value = EnsembleLoss([-3.0])(logits, torch.tensor([[1, 0]]))
    value.backward()
    assert logits.grad is not None
    assert bool(torch.isfinite(value))
    assert bool(torch.isfinite(logits.grad).all())


def test_has_no_state_to_store():
    assert EnsembleLoss([1.0, 2.0]).state_dict() == {}


@pytest.mark.parametrize("weights", [[], [float("nan")], [0.0, float("inf")]])
def test_refuses_weights_that_are_not_finite(weights):
    with pytest.raises(ValueError, match="one finite number per foreground class"):
        EnsembleLoss(weights)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda z, y, r: (z[:, :2], y, r), ValueError, r"logits have shape \(2, 2, 3, 4, 2\).*\(B, 3, \*grid\)"),
        (lambda z, y, r: (z.long(), y, r), TypeError, "logits are torch.int64"),
        (lambda z, y, r: (z, y[:1], r), ValueError, r"label has shape \(1, 3, 4, 2\)"),
        (lambda z, y, r: (z, y[:, None], r), ValueError, r"logits need \(2, 3, 4, 2\)"),
        (lambda z, y, r: (z, y.int(), r), TypeError, "label is torch.int32"),
        (lambda z, y, r: (z, y + 1, r), ValueError, r"class indices 1\.\.3; this loss knows 0\.\.2"),
        (lambda z, y, r: (z, y - 1, r), ValueError, r"class indices -1\.\.1"),
        (lambda z, y, r: (z, y, r[:, :2]), ValueError, r"region has shape \(2, 2, 4, 2\)"),
        (lambda z, y, r: (z, y, r.float()), TypeError, "region is torch.float32"),
        (lambda z, y, r: (z[:0], y[:0], r[:0]), ValueError, "holds no voxel"),
    ],
)
def test_refuses_what_does_not_fit(change, error, message):
    logits, label, region = random_batch(11, classes=2)
    label.view(-1)[:3] = torch.tensor([0, 1, 2])
    with pytest.raises(error, match=message):
        EnsembleLoss([0.0, 0.0])(*change(logits, label, region))


def test_loss_weight_may_be_a_numpy_array():
    logits, label, _ = random_batch(12, classes=2)
    assert EnsembleLoss(np.array([1.0, -1.0]))(logits, label) == EnsembleLoss([1.0, -1.0])(logits, label)
