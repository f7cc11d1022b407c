"""The DSC that a segmentation is expected to have, from the heatmap alone."""

from collections.abc import Sequence

import numpy as np


def estimated_dsc(
    heatmap: np.ndarray, segmentation: np.ndarray, *, voxel_volume: float, typical_volumes: Sequence[float]
) -> tuple[float, ...]:
    """Estimate the DSC of a segmentation, one value per class.

    With h the heatmap of a class and p its binary mask in the segmentation, the estimate is
    `2 sum(h p) / (sum(h) + sum(p))`: the DSC with h in the place of the ground truth (the paper's
    section on estimating segmentation quality).

    Where nothing is predicted (p is empty), that ratio is 0 for the faintest voxel left in h, and
    would put every healthy scan at the head of the queue. There the true DSC is 1 when the scan
    does not hold the class and 0 when it does, so the estimate is the probability of the former.
    The expected volume is `sum(h) * voxel_volume = P(present) * volume when present`, and the
    volume when present is taken to be the typical one, hence

        estimate = 1 - min(1, sum(h) * voxel_volume / typical_volume)

    which is 1 when h is empty as well, close to 1 for a handful of faint voxels, and 0 when h holds
    a typical lesion. A class that no label held so far has no typical volume (0); its
    estimate is `1 - max(h)`, since a class is at least as probably present as its likeliest voxel
    is foreground.

    Args:
        heatmap: shape (C, *grid), calibrated probability of each class. What a fit without
            constraints leaves outside [0, 1] counts as 0 or 1.
        segmentation: shape (*grid), whole numbers, 0 for background and 1..C for the classes.
        voxel_volume: cubic millimetres of a voxel.
        typical_volumes: cubic millimetres of each class in a scan that holds it, 0 when unknown.

    Returns:
        C values in [0, 1].

    Raises:
        ValueError: shapes that do not fit, a heatmap with NaN or infinite values, a segmentation
            with other values than 0..C, or volumes that are not finite and positive.
    """
    _check(heatmap, segmentation, voxel_volume, typical_volumes)
    estimates = []
    for index, (h, typical_volume) in enumerate(zip(heatmap, typical_volumes, strict=True)):
        lowest, highest = float(h.min(initial=0)), float(h.max(initial=0))
        # NaN and infinity survive min and max, which saves a pass and a copy for np.isfinite.
        if not (np.isfinite(lowest) and np.isfinite(highest)):
            raise ValueError(f"heatmap of class {index + 1}: holds NaN or infinite values")
        if lowest < 0 or highest > 1:
            h = np.clip(h, 0, 1)
        mask = segmentation == index + 1
        predicted = np.count_nonzero(mask)
        expected = h.sum(dtype=np.float64)
        if predicted:
            estimate = 2 * h[mask].sum(dtype=np.float64) / (expected + predicted)
        elif typical_volume > expected * voxel_volume:
            estimate = 1 - expected * voxel_volume / typical_volume
        elif typical_volume > 0:
            estimate = 0.0
        else:
            estimate = 1 - min(1, highest)
        estimates.append(float(estimate))
    return tuple(estimates)


def class_volumes(segmentation: np.ndarray, *, class_count: int, voxel_volume: float) -> tuple[float, ...]:
    """Volume of each class in cubic millimetres.

    Args:
        segmentation: any shape, whole numbers 0..class_count, 0 for background.
        class_count: number of foreground classes C.
        voxel_volume: cubic millimetres of a voxel.

    Returns:
        C volumes.
    """
    return tuple(np.count_nonzero(segmentation == index + 1) * voxel_volume for index in range(class_count))


def _check(
    heatmap: np.ndarray, segmentation: np.ndarray, voxel_volume: float, typical_volumes: Sequence[float]
) -> None:
    if heatmap.ndim < 2 or heatmap.shape[1:] != segmentation.shape:
        raise ValueError(
            f"heatmap: has shape {heatmap.shape} for a segmentation of shape {segmentation.shape}; "
            "it must be (classes, *segmentation.shape)"
        )
    if len(typical_volumes) != len(heatmap):
        raise ValueError(f"typical_volumes: has {len(typical_volumes)} values for {len(heatmap)} classes")
    if not all(np.isfinite(volume) and volume >= 0 for volume in typical_volumes):
        raise ValueError(f"typical_volumes: {tuple(typical_volumes)} must be finite and not negative")
    if not (np.isfinite(voxel_volume) and voxel_volume > 0):
        raise ValueError(f"voxel_volume: {voxel_volume} must be finite and positive")
    if not (np.issubdtype(segmentation.dtype, np.integer) or segmentation.dtype == bool):
        raise ValueError(f"segmentation: is {segmentation.dtype}; give whole numbers")
    if segmentation.size and not (segmentation.min() >= 0 and segmentation.max() <= len(heatmap)):
        raise ValueError(
            f"segmentation: holds values {segmentation.min()} to {segmentation.max()}; "
            f"give class indices 0 to {len(heatmap)}"
        )
