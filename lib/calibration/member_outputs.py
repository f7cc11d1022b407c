"""What the members make of one scan: all that a calibration turns into a heatmap."""

from dataclasses import dataclass
from enum import Flag, auto

import numpy as np


class RequiredOutputs(Flag):
    """Outputs that are only kept for a calibration that asks for them, since they are large."""

    NONE = 0
    JOINT_SEGMENTATIONS = auto()
    MEMBER_SOFTMAX = auto()


@dataclass(frozen=True, eq=False)
class MemberOutputs:
    """Outputs of F folds at K loss weights for one preprocessed scan.

    Attributes:
        segmentations: class indices, uint8 (F, K, x, y, z).
        softmax: of each fold at w^DSC, float32 (F, C + 1, x, y, z), 0..1.
        joint_segmentations: class indices of the folds together, uint8 (K, x, y, z): the argmax of
            their mean softmax. None where nothing asked for it.
        member_softmax: mean over the folds of each loss weight's softmax, foreground classes alone,
            float32 (K, C, x, y, z), 0..1. None where nothing asked for it.
    """

    segmentations: np.ndarray
    softmax: np.ndarray
    joint_segmentations: np.ndarray | None = None
    member_softmax: np.ndarray | None = None

    @property
    def mean_softmax(self) -> np.ndarray:
        """Mean softmax of the folds at w^DSC, float32 (C + 1, x, y, z); its argmax is what annotators are shown."""
        return self.softmax.mean(axis=0)
