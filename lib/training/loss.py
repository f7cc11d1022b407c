"""The loss that makes one member sensitive and another precise (Eq. 1 of the paper)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

LossWeight = tuple[float, ...]
"""One number per foreground class; negative is sensitive, positive precise."""

_SMOOTHING = 1e-5
"""Voxels added to both sides of the overlap's fraction, so that 0 / 0 becomes 1."""


class EnsembleLoss(nn.Module):
    """Class-weighted cross entropy plus a Tversky overlap, both steered by one loss weight per class.

    With y the label, p the softmax of the logits, w_c the loss weight of foreground class c = 1..C,
    sigma the logistic function, and N the number of voxels inside the region, the loss is the sum of

    - cross entropy: `-1/N * sum_i [y_0i log p_0i + sum_c exp(-w_c) y_ci log p_ci]`; dividing by N, not
      by the sum of the class weights, is what lets w shift the balance to the background;
    - overlap: `1 - 1/C * sum_c TP_c / (TP_c + sigma(w_c) FP_c + sigma(-w_c) FN_c)`, with soft counts
      over all voxels of the batch: the Tversky index with alpha = sigma(w_c) on false positives and
      beta = sigma(-w_c) on false negatives, and soft Dice at w_c = 0.

    Negative w makes a missed voxel dear (sensitive), positive w a false alarm (precise).

    1e-5 voxels are added to both sides of the fraction. A class that is absent and not predicted at
    all thus costs 0; one that is absent and predicted somewhere (a softmax always does) costs 1/C
    with hardly any gradient, and only the cross entropy pushes it down. A region without voxels
    costs 0, and its gradient is 0 for every logit.

    Source: Buddenkotte et al., Eq. 1; the minus sign of the cross entropy is missing in print, and the
    printed factor 2 of the overlap contradicts the text and the authors' code.

    Args:
        loss_weight: w_c for each foreground class, finite; 0 is balanced.

    Raises:
        ValueError: no weight is given, or one is not finite.
    """

    def __init__(self, loss_weight: Sequence[float]) -> None:
        super().__init__()
        weight = torch.tensor([float(w) for w in loss_weight], dtype=torch.float64)
        if weight.numel() == 0 or not bool(torch.isfinite(weight).all()):
            raise ValueError(f"loss_weight is {list(loss_weight)}; give one finite number per foreground class")
        entropy_weight = torch.cat([torch.ones(1, dtype=torch.float64), torch.exp(-weight)])
        # Not persistent: a checkpoint of network and loss need not hold what the settings say.
        self.register_buffer("_entropy_weight", entropy_weight, persistent=False)
        self.register_buffer("_alpha", torch.sigmoid(weight), persistent=False)
        self.register_buffer("_beta", torch.sigmoid(-weight), persistent=False)
        self._entropy_weight: Tensor
        self._alpha: Tensor
        self._beta: Tensor

    def forward(self, logits: Tensor, label: Tensor, region: Tensor | None = None) -> Tensor:
        """Compute the loss of a batch.

        Args:
            logits: shape (B, C + 1, *grid), any floating dtype; channel 0 is the background. Half
                precision is raised to float32, also under autocast.
            label: shape (B, *grid), int64, class indices 0..C.
            region: shape (B, *grid), bool, True where voxels count; all of them when None.

        Returns:
            A scalar >= 0, float32 (float64 for float64 logits).

        Raises:
            ValueError: a shape does not fit, or the label holds an index outside 0..C. On a GPU the
                latter is left to the device's own assertion, for a check would wait for the device.
            TypeError: a dtype is not the one asked for.
        """
        self._check(logits, label, region)
        with torch.autocast(logits.device.type, enabled=False):
            if logits.dtype in (torch.float16, torch.bfloat16):
                logits = logits.float()
            log_p = torch.log_softmax(logits, dim=1)
            log_p_true = log_p.gather(1, label.unsqueeze(1)).flatten()
            p = log_p.exp().flatten(2)
            bins = logits.shape[1]
            index = label.flatten()
            if region is None:
                predicted = p.sum(dim=(0, 2))
            else:
                predicted = torch.bmm(p, region.flatten(1).unsqueeze(2).to(p.dtype)).sum(dim=(0, 2))
                # Voxels outside the region are counted in a bin of their own, which is then dropped.
                index = index.masked_fill(~region.flatten(), bins)
            entropy = _sum_by(index, log_p_true, bins)
            hit = _sum_by(index, log_p_true.exp(), bins)
            present = torch.bincount(index, minlength=bins + 1)[:bins]

            voxels = present.sum().clamp(min=1)
            cross_entropy = -(self._entropy_weight * entropy).sum() / voxels
            false_positive = predicted.double()[1:] - hit[1:]
            missed = present[1:] - hit[1:]
            overlap = (hit[1:] + _SMOOTHING) / (
                hit[1:] + self._alpha * false_positive + self._beta * missed + _SMOOTHING
            )
            return (cross_entropy + 1 - overlap.mean()).to(logits.dtype)

    def _check(self, logits: Tensor, label: Tensor, region: Tensor | None) -> None:
        channels = self._entropy_weight.numel()
        if logits.ndim < 3 or logits.shape[1] != channels:
            raise ValueError(
                f"logits have shape {tuple(logits.shape)}; {channels - 1} loss weights need (B, {channels}, *grid)"
            )
        if not logits.is_floating_point():
            raise TypeError(f"logits are {logits.dtype}; give a floating dtype")
        grid = (logits.shape[0], *logits.shape[2:])
        if tuple(label.shape) != grid:
            raise ValueError(f"label has shape {tuple(label.shape)}; logits need {grid}")
        if label.dtype != torch.int64:
            raise TypeError(f"label is {label.dtype}; give torch.int64 class indices")
        if region is not None:
            if tuple(region.shape) != grid:
                raise ValueError(f"region has shape {tuple(region.shape)}; logits need {grid}")
            if region.dtype != torch.bool:
                raise TypeError(f"region is {region.dtype}; give torch.bool, True where voxels count")
        if label.numel() == 0:
            raise ValueError(f"label has shape {tuple(label.shape)}, which holds no voxel; leave empty batches out")
        if not label.is_cuda:
            low, high = (int(bound) for bound in torch.aminmax(label))
            if low < 0 or high >= channels:
                raise ValueError(f"label holds class indices {low}..{high}; this loss knows 0..{channels - 1}")


def _sum_by(index: Tensor, value: Tensor, bins: int) -> Tensor:
    """Sum `value` by `index` in float64, for millions of float32 terms would lose the small ones."""
    sums = torch.zeros(bins + 1, dtype=torch.float64, device=value.device)
    return sums.index_add(0, index, value.double())[:bins]
