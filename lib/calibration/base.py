"""The interface of all ways from the members' outputs to calibrated probabilities."""

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from lib.calibration.member_outputs import Extra, MemberOutputs
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics

if TYPE_CHECKING:
    from lib.task.task import Task  # which in turn knows all calibrations by their names


class Calibration(BaseModel):
    """A fit of probabilities to labels; its fields are what was fitted, and are kept as JSON.

    Every file of the package `lib.calibration` holds one, and the name of the file is its value of
    `heatmap` in a task file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    single_weight: ClassVar[bool] = False
    """Whether the members at w^DSC are all that it needs; no others are trained then."""

    @classmethod
    @abstractmethod
    def fit(cls, statistics: OutOfFoldStatistics, task: "Task") -> Self:
        """Fit to the out-of-fold statistics of all labelled scans.

        Args:
            statistics: of C classes and K loss weights.
            task: settings of the fit.
        """

    @property
    def extras(self) -> Extra:
        """What it needs of the members beyond what is always kept."""
        return Extra.NONE

    @abstractmethod
    def heatmap(self, outputs: MemberOutputs) -> np.ndarray:
        """Apply to one scan.

        Args:
            outputs: with the `extras`.

        Returns:
            Probability of each foreground class, float32 in [0, 1], shape (C, x, y, z).

        Raises:
            ValueError: the outputs lack an extra.
        """
