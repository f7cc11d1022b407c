"""Platt scaling of the softmax at w^DSC: one network a fold instead of one for each loss weight."""

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from lib.calibration.curves import SingleWeight
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
        return expit(self.slope * _logit(softmax) + self.intercept)


class Single(SingleWeight):
    """Each fold's softmax at w^DSC on a Platt curve, then the mean of the folds."""

    curves: tuple[PlattCurve | None, ...]

    @staticmethod
    def fit_curve(counts: ReliabilityCounts) -> PlattCurve | None:
        """Fit a logistic curve to the logits of voxels, without regularisation; see `SingleWeight`.

        As Platt proposed, the targets are a little inside 0 and 1, by one voxel of each kind, so that the
        curve stays finite where all voxels are foreground, none is, or a threshold tells them apart.
        """
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
        return PlattCurve(slope=float(model.coef_[0, 0]), intercept=float(model.intercept_[0]))


def _logit(softmax: np.ndarray) -> np.ndarray:
    return logit(np.clip(softmax.astype(np.float64), FAINTEST, _LARGEST))
