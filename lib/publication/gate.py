"""Whether a new generation may take the place of the one that is served."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.stats import ttest_rel

from lib.models.generation import Generation
from lib.publication.fold_calibration import calibration_error_by_scan


@dataclass(frozen=True)
class GateTolerance:
    """How much worse a new generation may look by chance.

    A figure fails where the paired mean over the scans that both generations hold is worse by more than the
    tolerance, and either a one-sided paired t-test gives chance less than `significance`, or it is worse by more
    than three times the tolerance: with few scans no test ever finds a difference.

    Attributes:
        dice: of the cross-validated DSC, 0..1.
        calibration_error: of the cross-validated expected calibration error, 0..1.
        significance: of the test.
    """

    dice: float = 0.01
    calibration_error: float = 0.02
    significance: float = 0.05


@dataclass(frozen=True)
class GateReport:
    """What the gate found.

    Attributes:
        reasons: why the generation must not be served, one line each; empty where it may.
        figures: what was compared, as JSON: for `dice` and `calibration_error` the mean `before` and `after` over
            the scans that both hold, and `p`, the chance to see so much worse a mean; None where there is nothing to
            compare.
    """

    reasons: tuple[str, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)


def judge_candidate(
    candidate: Generation, served: Generation | None, tolerance: GateTolerance | None = None
) -> GateReport:
    """Judge a new generation by itself and beside the one that is served.

    Args:
        candidate: whole, not yet served.
        served: the current generation; None before the first, and where it is of other classes.
        tolerance: defaults of `GateTolerance` when None.

    Raises:
        DamagedGenerationError: weights or statistics of one of them cannot be read.
    """
    tolerance = tolerance or GateTolerance()
    reasons = [*_broken_weights(candidate), *_useless_classes(candidate, served)]
    if served is None or served.task.classes != candidate.task.classes:
        return GateReport(tuple(reasons))
    figures: dict[str, Any] = {}
    pairs = {
        "dice": (_paired(_dice(served), _dice(candidate)), tolerance.dice),
        "calibration_error": (
            tuple(-one for one in _paired(calibration_error_by_scan(served), calibration_error_by_scan(candidate))),
            tolerance.calibration_error,
        ),
    }
    for name, ((before, after), allowed) in pairs.items():
        if not before.size:
            figures[name] = None
            continue
        p = _chance_of_worse(before, after)
        mean_before, mean_after = abs(float(before.mean())), abs(float(after.mean()))
        figures[name] = {"before": mean_before, "after": mean_after, "p": p, "scans": int(before.size)}
        loss = float((before - after).mean())
        if loss > allowed and (p < tolerance.significance or loss > 3 * allowed):
            reasons.append(
                f"{_NAMES[name]} on {before.size} scans that both hold went from {mean_before:.4f} to {mean_after:.4f} "
                f"(p = {p:.2g}), which is worse by more than {allowed:g}"
            )
    return GateReport(tuple(reasons), figures)


_NAMES = {"dice": "mean cross-validated DSC", "calibration_error": "mean cross-validated calibration error"}


def _broken_weights(candidate: Generation) -> list[str]:
    """A reason for each member whose weights are no numbers."""
    broken = []
    for fold in range(candidate.task.fold_count):
        for index, offset in enumerate(candidate.task.offsets):
            weights = candidate.load_member(fold, index).values()
            if not all(torch.isfinite(tensor).all() for tensor in weights if tensor.is_floating_point()):
                broken.append(f"the member of fold {fold + 1} at offset {offset:+g} has weights that are no numbers")
    return broken


def _useless_classes(candidate: Generation, served: Generation | None) -> list[str]:
    """A reason for each class that is lost, and for heatmaps that are 0 whatever the members say."""
    dice, reasons = candidate.metrics["dice"], []
    before = served.metrics["dice"] if served is not None else {}
    if not any(dice.values()):
        reasons.append("no class is found on any scan that the members have not seen")
    lost = [name for name, value in dice.items() if not value and before.get(name)]
    reasons += [f"{name} is found no more; its DSC was {before[name]:.3f}" for name in lost]
    counts = candidate.calibration.reliability(candidate.statistics)
    for name, count in zip(candidate.task.classes, counts or (), strict=False):
        if dice.get(name) and not count.heat.sum():
            reasons.append(f"the heatmap of {name} is 0 everywhere, so that its estimated DSC is 0 for all scans")
    return reasons


def _dice(generation: Generation) -> dict[str, np.ndarray]:
    return {name: np.array(values, float) for name, values in generation.metrics["dice_by_scan"].items()}


def _paired(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Means over the classes for the scans that both hold, of the classes that have a value in both."""
    first, second = [], []
    for scan in before.keys() & after.keys():
        known = np.isfinite(before[scan]) & np.isfinite(after[scan])
        if known.any():
            first.append(before[scan][known].mean())
            second.append(after[scan][known].mean())
    return np.array(first), np.array(second)


def _chance_of_worse(before: np.ndarray, after: np.ndarray) -> float:
    """One-sided p-value of a paired t-test; 1 for one scan and for differences that are all 0."""
    difference = after - before
    if len(difference) < 2 or not difference.any():
        return 1.0
    if np.ptp(difference) == 0:
        return 0.0 if difference[0] < 0 else 1.0
    return float(ttest_rel(after, before, alternative="less").pvalue)
