"""The interface of all ways from the members' outputs to calibrated probabilities: settings, and what is fitted."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from lib.calibration.member_outputs import MemberOutputs, RequiredOutputs
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics
from lib.calibration.statistics.probability_counts import ReliabilityCounts


class Calibration(BaseModel):
    """A fit of probabilities to labels; its fields are what was fitted, and are kept as JSON in generations."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @property
    def required_outputs(self) -> RequiredOutputs:
        """What it needs of the members beyond what is always kept."""
        return RequiredOutputs.NONE

    @property
    @abstractmethod
    def rises(self) -> tuple[bool, ...]:
        """For each class, whether its probability rises with the members' confidence; else it tells nothing."""

    @abstractmethod
    def heatmap(self, outputs: MemberOutputs) -> np.ndarray:
        """Apply to one scan.

        Args:
            outputs: with the `required_outputs`.

        Returns:
            Probability of each foreground class, float32 in [0, 1], shape (C, x, y, z).

        Raises:
            ValueError: the outputs lack something that is required.
        """

    def reliability(self, statistics: OutOfFoldStatistics) -> tuple[ReliabilityCounts, ...] | None:  # noqa: ARG002
        """What one fold's heatmap promises and what the labels say, counted without predicting again.

        Args:
            statistics: of any scans, for C classes and K loss weights.

        Returns:
            Counts for each class over the voxels where the heatmap is above 0; None where the statistics do not tell.
        """
        return None


class Calibrator(BaseModel):
    """Fits a calibration to data alone; its fields are the settings of the fit, and fitting leaves them as they are.

    A new one takes a class and a line in `lib.calibration.registry`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fitted: ClassVar[type[Calibration]]
    """Class of what `fit` gives."""

    needs_all_offsets: ClassVar[bool] = True
    """Whether it needs members at other loss weights than w^DSC; where none does, no others are trained."""

    @abstractmethod
    def fit(self, statistics: OutOfFoldStatistics) -> Calibration:
        """Fit to the out-of-fold statistics of all labelled scans.

        Args:
            statistics: of C classes and K loss weights.

        Returns:
            The calibration, of class `fitted`.
        """
