"""Points that cover a cloud: the greedy k-centre choice."""

import numpy as np
from scipy.spatial.distance import cdist


def k_centres(points: np.ndarray, centres: np.ndarray, count: int) -> np.ndarray:
    """Choose points one by one, each the farthest from all centres and all points chosen so far.

    This greedy choice leaves no point farther from its nearest centre than twice what the best
    choice would (Sener and Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set
    Approach").

    Args:
        points: float (N, D).
        centres: float (M, D), M >= 1: what is covered already.
        count: how many, 0..N.

    Returns:
        Different indices of points, int (count,), in the order in which they were chosen; of equally
        far points the first.

    Raises:
        ValueError: no centre, or fewer points than wanted.
    """
    if not len(centres):
        raise ValueError("there are no centres; give at least one")
    if not 0 <= count <= len(points):
        raise ValueError(f"{count} points cannot be chosen of {len(points)}")
    distances = nearest_distances(points, centres)
    chosen: list[int] = []
    for _ in range(count):
        farthest = int(distances.argmax())
        chosen.append(farthest)
        distances = np.minimum(distances, cdist(points, points[farthest : farthest + 1])[:, 0])
        # A twin of a centre is still a candidate, a point that was chosen is not.
        distances[chosen] = -1
    return np.array(chosen, dtype=np.int64)


def nearest_distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Euclidean distance of each point (N, D) to the nearest of the others (M, D), M >= 1: float64 (N,)."""
    return cdist(points, others).min(axis=1)
