"""How far apart two grids of one shape lie."""

import itertools

import numpy as np

SAME_GRID = 0.1
"""Voxels that the corners of two grids may lie apart and be one grid: far more than headers and clients round."""


def corner_distance(affine_a: np.ndarray, affine_b: np.ndarray, shape: tuple[int, ...]) -> float:
    """Give the largest distance between corresponding corners of two grids, in voxels of the second.

    Corners are those of the outermost voxels, not their centres, so that a single slice has a thickness too.

    Args:
        affine_a: shape (4, 4), from voxel indices to millimetres.
        affine_b: the same of the other grid, in the same space.
        shape: voxels along x, y and z, of both grids.

    Returns:
        At least 0; infinite where one of the affines holds something else than finite numbers or cannot be inverted.
    """
    corners = np.array([*itertools.product(*((-0.5, size - 0.5) for size in shape))]).T
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    with np.errstate(all="ignore"):  # what cannot be computed is told by the result
        try:
            seen = np.linalg.solve(np.asarray(affine_b, np.float64), np.asarray(affine_a, np.float64) @ corners)
        except np.linalg.LinAlgError:
            return float("inf")
        distance = float(np.linalg.norm((seen - corners)[:3], axis=0).max())
    return distance if np.isfinite(distance) else float("inf")
