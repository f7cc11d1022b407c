"""Arrays from one grid to another."""

import math

import nibabel as nib
import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import SpatialResample

# Resampling for less than a hundredth would blur for nothing: augmentation scales by more.
_SPACING_TOLERANCE = 0.01

# MONAI takes affines for equal below this, in millimetres, and would skip such a resampling silently.
_AFFINE_TOLERANCE = 1e-3


def resampled_grid(
    affine: np.ndarray, shape: tuple[int, ...], spacing: tuple[float, float, float]
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Grid with a target spacing over the same part of the world, centred on the same point.

    Args:
        affine: (4, 4), voxel indices to millimetres.
        shape: voxels along each axis.
        spacing: target, in millimetres, for each axis of the array.

    Returns:
        Affine (4, 4) and shape of the grid. Axes whose spacing is within one per cent of the
        target are kept as they are.
    """
    present = np.linalg.norm(affine[:3, :3], axis=0)
    target = np.array(spacing, dtype=np.float64)
    near = np.abs(present - target) <= np.maximum(_SPACING_TOLERANCE * target, _AFFINE_TOLERANCE)
    scale = np.where(near, 1.0, target / present)
    last = np.array(shape) - 1
    x, y, z = (math.floor(length + 0.5) + 1 for length in last / scale)
    # Half of what is left over goes to either end.
    first = (last - (np.array([x, y, z]) - 1) * scale) / 2
    change = np.diag([*scale, 1.0])
    change[:3, 3] = first
    return affine @ change, (x, y, z)


def resample(
    channels: torch.Tensor,
    source: np.ndarray,
    target: np.ndarray,
    shape: tuple[int, ...],
    *,
    mode: str,
) -> torch.Tensor:
    """Resample channels from one grid to another; untouched when they are the same.

    Args:
        channels: (C, x, y, z).
        source: (4, 4), their voxel indices to millimetres.
        target: (4, 4), that of the result.
        shape: voxels of the result along each axis; outside of the source its border is repeated.
        mode: of interpolation, "bilinear" or "nearest".
    """
    if tuple(channels.shape[1:]) == tuple(shape) and np.allclose(source, target, rtol=1e-9, atol=1e-9):
        return channels
    resample = SpatialResample(mode=mode, padding_mode="border", align_corners=False, dtype=torch.float32)
    image = MetaTensor(channels, affine=torch.from_numpy(source))
    return resample(image, dst_affine=torch.from_numpy(target), spatial_size=shape).as_tensor()


def reorient(array: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    """Axes of an array swapped and turned.

    Args:
        array: (x, y, z).
        orientation: (3, 2), for each axis the one it becomes and 1 or -1, as nibabel has it.
    """
    # A copy, since an axis of one voxel may keep a negative stride, which torch refuses.
    return nib.orientations.apply_orientation(array, orientation).copy()
