"""The Dice similarity coefficient."""

import numpy as np
import torch
from monai.metrics import compute_dice
from monai.networks.utils import one_hot

ABSENT_DICE = 1.0
"""DSC of a class that is in neither segmentation nor label, where an estimate is compared with it."""


def dice_per_class(segmentation: np.ndarray, label: np.ndarray, *, class_count: int) -> np.ndarray:
    """DSC of each foreground class.

    Args:
        segmentation: class indices, uint8 (x, y, z).
        label: class indices, uint8 (x, y, z).
        class_count: foreground classes C.

    Returns:
        float64 (C,), 0..1; NaN where a class is in neither.
    """
    # What is background in both changes no DSC, and is nearly all of a scan.
    places = np.flatnonzero(np.maximum(segmentation, label))
    both = torch.from_numpy(np.stack([one.ravel()[places] for one in (segmentation, label)]).astype(np.int64))[:, None]
    hot = one_hot(both, num_classes=class_count + 1)
    dice = compute_dice(hot[:1], hot[1:], include_background=False, ignore_empty=False)[0].double().numpy()
    empty = ~hot[:, 1:].flatten(2).any(dim=2).any(dim=0).numpy()
    return np.where(empty, np.nan, dice)


def dice_beside_estimate(segmentation: np.ndarray, label: np.ndarray, *, class_count: int) -> np.ndarray:
    """DSC of each foreground class as an estimated DSC counts it: 1 where a class is in neither.

    Args:
        segmentation: class indices, uint8 (x, y, z).
        label: class indices, uint8 (x, y, z).
        class_count: foreground classes C.

    Returns:
        float64 (C,), 0..1.
    """
    return np.nan_to_num(dice_per_class(segmentation, label, class_count=class_count), nan=ABSENT_DICE)
