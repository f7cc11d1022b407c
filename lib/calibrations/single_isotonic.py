"""Isotonic regression on the softmax at w^DSC: like `single`, for softmax that no logistic curve straightens."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from sklearn.isotonic import IsotonicRegression

from lib.calibration import Calibration
from lib.heatmap import map_softmax
from lib.member_outputs import MemberOutputs
from lib.out_of_fold_statistics import OutOfFoldStatistics
from lib.reliability import ReliabilityCounts

if TYPE_CHECKING:
    from lib.task import Task

Knots = tuple[Annotated[float, Field(ge=0, le=1)], ...]


class RisingCurve(BaseModel):
    """Straight lines between knots, level beyond the first and the last."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    softmax: Knots
    probability: Knots

    def __call__(self, softmax: np.ndarray) -> np.ndarray:
        """Probabilities of softmax (n,), 0..1."""
        return np.interp(softmax, self.softmax, self.probability)


class SingleIsotonic(Calibration):
    """Each fold's softmax at w^DSC on a rising curve, then the mean of the folds.

    Attributes:
        curves: one for each class; None where no voxel tells.
    """

    single_weight: ClassVar[bool] = True

    curves: tuple[RisingCurve | None, ...]

    @classmethod
    def fit(cls, statistics: OutOfFoldStatistics, task: "Task") -> Self:  # noqa: ARG003
        """Fit one curve for each class, see `fit_isotonic`."""
        return cls(curves=tuple(map(fit_isotonic, statistics.softmax)))

    def heatmap(self, outputs: MemberOutputs) -> np.ndarray:
        """Probabilities from the softmax of one scan, see `lib.heatmap.map_softmax`."""
        return map_softmax(outputs.softmax, self.curves)


def fit_isotonic(counts: ReliabilityCounts) -> RisingCurve | None:
    """Fit the rising curve with the least squared error.

    Args:
        counts: softmax of at least `lib.heatmap.FAINTEST`.

    Returns:
        The curve; None where there are no voxels.
    """
    bins = np.flatnonzero(counts.voxels)
    if not bins.size:
        return None
    voxels = counts.voxels[bins]
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    model.fit(counts.heat[bins] / voxels, counts.foreground[bins] / voxels, sample_weight=voxels)
    return RisingCurve(softmax=tuple(model.X_thresholds_.tolist()), probability=tuple(model.y_thresholds_.tolist()))
