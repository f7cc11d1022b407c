"""Softmax of made-up members and the truth behind it, as voxels and as the statistics that are kept of them."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics, reduce_outputs


@dataclass(frozen=True)
class Samples:
    """Voxels of several scans for one class.

    Attributes:
        softmax: of K members, float32 (K, n).
        truth: bool (n,).
        statistics: of the same voxels.
    """

    softmax: np.ndarray
    truth: np.ndarray
    statistics: OutOfFoldStatistics


def reduced(softmax: np.ndarray, truth: np.ndarray, *, served: int, scans: int = 1) -> OutOfFoldStatistics:
    """Statistics of voxels (K, n) with truth (n,), summed over so many scans."""
    total = OutOfFoldStatistics.zeros(1, len(softmax))
    for p, y in zip(np.array_split(softmax, scans, axis=1), np.array_split(truth, scans), strict=True):
        grid = (len(y), 1, 1)
        total += reduce_outputs(
            p.reshape(len(p), 1, *grid),
            (p > 0.5).astype(np.uint8).reshape(len(p), *grid),
            y.astype(np.uint8).reshape(grid),
            served=served,
        )
    return total


def draw_samples(seed: int, *, count: int = 6000, members: int = 3, scans: int = 4) -> Samples:
    """Overconfident members whose logits are shifted, from sensitive to precise; w^DSC is the middle one."""
    rng = np.random.default_rng(seed)
    true_logit = rng.normal(-2, 3, count)
    truth = rng.random(count) < expit(true_logit)
    shifts = np.linspace(1.5, -1.5, members)[:, None]
    softmax = expit(1.8 * true_logit + shifts + rng.normal(0, 0.7, (members, count))).astype(np.float32)
    return Samples(softmax, truth, reduced(softmax, truth, served=members // 2, scans=scans))


def logit_of(softmax: np.ndarray) -> np.ndarray:
    return logit(np.clip(softmax.astype(float), 1e-7, 1 - 5e-5))


def some_softmax(seed: int, *shape: int) -> np.ndarray:
    """Softmax of which most is faint, last axis n."""
    return np.random.default_rng(seed).beta(0.2, 0.6, shape).astype(np.float32)
