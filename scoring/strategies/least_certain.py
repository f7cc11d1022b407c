"""The scan on which the current model is expected to be worst comes first."""

from typing import ClassVar

import numpy as np

from scoring.strategies.strategy import Candidates


class LeastCertain:
    """By the mean estimated DSC over the classes."""

    needs_model: ClassVar[bool] = True
    description: ClassVar[str] = "The unlabelled scan with the lowest estimated DSC"

    def priorities(self, candidates: Candidates) -> np.ndarray:
        """Mean estimated DSC of each scan, float64 (N,) in [0, 1].

        Raises:
            ValueError: there are no estimates.
        """
        if candidates.estimated_dsc is None:
            raise ValueError("there are no estimates; give those of the current model")
        return candidates.estimated_dsc.mean(axis=1, dtype=np.float64)
