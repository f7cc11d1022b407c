"""What all calibrations of the softmax at one loss weight have in common."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from lib.calibration import Calibration
from lib.heatmap import map_softmax
from lib.member_outputs import MemberOutputs
from lib.out_of_fold_statistics import OutOfFoldStatistics
from lib.reliability import ReliabilityCounts

if TYPE_CHECKING:
    from lib.task import Task


class SingleWeight(Calibration):
    """Each fold's softmax at w^DSC on a curve of its class, then the mean of the folds.

    One network a fold is all that it needs, instead of one for each loss weight.

    Attributes:
        curves: one for each class, from softmax (n,) to probabilities (n,), both 0..1; None where no voxel tells.
    """

    single_weight: ClassVar[bool] = True

    curves: tuple[Any, ...]

    @classmethod
    def fit(cls, statistics: OutOfFoldStatistics, task: "Task") -> Self:  # noqa: ARG003
        """Fit one curve for each class, see `fit_curve`."""
        return cls(curves=tuple(map(cls.fit_curve, statistics.softmax)))

    def heatmap(self, outputs: MemberOutputs) -> np.ndarray:
        """Probabilities from the softmax of one scan, see `lib.heatmap.map_softmax`."""
        return map_softmax(outputs.softmax, self.curves)

    @staticmethod
    @abstractmethod
    def fit_curve(counts: ReliabilityCounts) -> Any:
        """Fit the curve of one class.

        Args:
            counts: softmax of at least `lib.heatmap.FAINTEST`.

        Returns:
            The curve; None where there are no voxels.
        """
