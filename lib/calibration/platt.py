"""Platt scaling of the softmax at w^DSC: one network a fold instead of one for each loss weight."""

import math
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from lib.calibration.base import Calibrator
from lib.calibration.curves import SoftmaxCurves
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics
from lib.calibration.statistics.probability_counts import BINS, ReliabilityCounts
from lib.calibration.statistics.thresholds import FAINTEST

# Voxels are counted in bins: nearer to 1 than half a bin they are not told apart.
_LARGEST = 1 - 0.5 / BINS


class PlattCurve(BaseModel):
    """`sigma(slope * logit(p) + intercept)`, the probability of a class that has softmax p."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    slope: float
    intercept: float

    def __call__(self, softmax: np.ndarray) -> np.ndarray:
        """Probabilities of softmax (n,), 0..1."""
        from scipy.special import expit

        return expit(self.slope * _logit(softmax) + self.intercept)


class PlattScaling(SoftmaxCurves):
    """Each fold's softmax at w^DSC on a Platt curve, then the mean of the folds."""

    curves: tuple[PlattCurve | None, ...]


class Platt(Calibrator):
    """Fits one logistic curve for each class."""

    fitted: ClassVar[type[PlattScaling]] = PlattScaling
    needs_all_offsets: ClassVar[bool] = False

    def fit(self, statistics: OutOfFoldStatistics) -> PlattScaling:
        """Fit one curve for each class, see `fit_platt_curve`."""
        return PlattScaling(curves=tuple(map(fit_platt_curve, statistics.softmax)))


def fit_platt_curve(counts: ReliabilityCounts) -> PlattCurve | None:
    """Fit a logistic curve to the logits of voxels, without regularisation.

    As Platt proposed ("Probabilistic outputs for support vector machines", 1999, section 2.2), the targets are
    a little inside 0 and 1, by one voxel of each kind, so that the curve stays finite where all voxels are
    foreground, none is, or a threshold tells them apart. Where foreground grows rarer as the softmax grows, as
    where no network learned the class, the best curve that does not fall takes its place: the share of foreground,
    whatever the softmax.

    Args:
        counts: softmax of at least `lib.calibration.statistics.thresholds.FAINTEST`.

    Returns:
        The curve; None where there are no voxels.
    """
    from sklearn.linear_model import LogisticRegression

    bins = np.flatnonzero(counts.voxels)
    if not bins.size:
        return None
    voxels, foreground = counts.voxels[bins], counts.foreground[bins]
    background = voxels - foreground
    high = (foreground.sum() + 1) / (foreground.sum() + 2)
    low = 1 / (background.sum() + 2)
    positive = high * foreground + low * background
    places = _logit(counts.heat[bins] / voxels)[:, None]
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
    model.fit(
        np.vstack([places, places]),
        np.repeat([1, 0], len(bins)),
        sample_weight=np.concatenate([positive, voxels - positive]),
    )
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope < 0:
        slope, intercept = 0.0, math.log(positive.sum() / (voxels - positive).sum())
    return PlattCurve(slope=slope, intercept=intercept)


def _logit(softmax: np.ndarray) -> np.ndarray:
    from scipy.special import logit

    return logit(np.clip(softmax.astype(np.float64), FAINTEST, _LARGEST))
