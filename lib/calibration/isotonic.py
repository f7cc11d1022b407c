"""Isotonic regression on the softmax at w^DSC: like Platt scaling, for softmax that no logistic curve straightens."""

from typing import Annotated, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lib.calibration.base import Calibrator
from lib.calibration.curves import SoftmaxCurves
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics
from lib.calibration.statistics.probability_counts import ReliabilityCounts

Knots = tuple[Annotated[float, Field(ge=0, le=1)], ...]


class RisingCurve(BaseModel):
    """Straight lines between knots, level beyond the first and the last."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    softmax: Knots
    probability: Knots

    def __call__(self, softmax: np.ndarray) -> np.ndarray:
        """Probabilities of softmax (n,), 0..1."""
        return np.interp(softmax, self.softmax, self.probability)


class IsotonicCalibration(SoftmaxCurves):
    """Each fold's softmax at w^DSC on a rising curve, then the mean of the folds."""

    curves: tuple[RisingCurve | None, ...]


class Isotonic(Calibrator):
    """Fits one rising curve for each class."""

    fitted: ClassVar[type[IsotonicCalibration]] = IsotonicCalibration
    needs_all_offsets: ClassVar[bool] = False

    def fit(self, statistics: OutOfFoldStatistics) -> IsotonicCalibration:
        """Fit one curve for each class, see `fit_rising_curve`."""
        return IsotonicCalibration(curves=tuple(map(fit_rising_curve, statistics.softmax)))


def fit_rising_curve(counts: ReliabilityCounts) -> RisingCurve | None:
    """Fit the rising curve with the least squared error.

    Args:
        counts: softmax of at least `lib.calibration.statistics.thresholds.FAINTEST`.

    Returns:
        The curve; None where there are no voxels.
    """
    from sklearn.isotonic import IsotonicRegression

    bins = np.flatnonzero(counts.voxels)
    if not bins.size:
        return None
    voxels = counts.voxels[bins]
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    model.fit(counts.heat[bins] / voxels, counts.foreground[bins] / voxels, sample_weight=voxels)
    return RisingCurve(softmax=tuple(model.X_thresholds_.tolist()), probability=tuple(model.y_thresholds_.tolist()))
