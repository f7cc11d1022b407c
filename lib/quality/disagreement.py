"""How much members disagree on a scan, as numbers that rank scans."""

import numpy as np


def mean_pairwise_dice(segmentations: np.ndarray, *, class_count: int) -> np.ndarray:
    """Mean DSC over all pairs of members, one value per class.

    Args:
        segmentations: class indices 0..C of K members, uint8, shape (K, *grid).
        class_count: C.

    Returns:
        float64 (C,), 0..1. A pair that leaves a class empty agrees, with a DSC of 1. NaN for a single
        member, which makes no pair.
    """
    members = len(segmentations)
    if members < 2:
        return np.full(class_count, np.nan)
    flat = segmentations.reshape(members, -1)
    # Where all say background there is nothing to count.
    flat = flat[:, flat.any(axis=0)]
    first, second = np.triu_indices(members, k=1)
    means = []
    for index in range(1, class_count + 1):
        # Whole numbers stay exact in float64, whose matrix product is far faster than that of integers.
        masks = (flat == index).astype(np.float64)
        overlap = masks @ masks.T
        size = np.diag(overlap)
        both = size[first] + size[second]
        dice = np.divide(2 * overlap[first, second], both, out=np.ones(len(first)), where=both > 0)
        means.append(dice.mean())
    return np.array(means)


def mean_entropy(probabilities: np.ndarray) -> np.ndarray:
    """Mean over the voxels of the entropy of "this class or not", one value per class.

    Args:
        probabilities: of each class, 0..1, shape (C, *grid), at least one voxel.

    Returns:
        float64 (C,), in nats, 0..ln 2.
    """
    flat = probabilities.reshape(len(probabilities), -1).astype(np.float64)
    entropy = np.zeros(len(flat))
    for share in (flat, 1 - flat):
        # p ln p tends to 0 with p.
        entropy -= (share * np.log(np.where(share > 0, share, 1))).mean(axis=1)
    return entropy
