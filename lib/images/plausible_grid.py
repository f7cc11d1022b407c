"""Grids that a scan can have. What is none has a header in other units, or a damaged one."""

import numpy as np

from lib.errors import InputError

# Wide enough for micro-CT and for a whole body in one volume; a scan in metres or microns that says millimetres is not.
_VOXEL = 0.009, 200.0
_LONGEST_SIDE = 10_000.0
_MOST_VOXELS = 1 << 31
_FLATTEST = 1e-3


def spatial_shape(shape: tuple[int, ...], *, where: str) -> tuple[int, int, int]:
    """Give the shape of the one volume that an array holds.

    Raises:
        InputError: it has other than three axes, beside axes of one voxel at the end, or none or endlessly many voxels.
    """
    found = tuple(int(size) for size in shape)
    while len(found) > 3 and found[-1] == 1:
        found = found[:-1]
    if len(found) != 3:
        raise InputError(f"{where}: has {len(found)} dimensions, shape {found}; give one 3-D volume per file")
    x, y, z = found
    if not (min(found) > 0 and x * y * z <= _MOST_VOXELS):
        raise InputError(f"{where}: has shape {found}; give a volume of 1 to {_MOST_VOXELS} voxels")
    return x, y, z


def check_grid(affine: np.ndarray, shape: tuple[int, int, int], *, where: str) -> None:
    """Check that a scan can lie on a grid.

    Args:
        affine: shape (4, 4), from voxel indices to millimetres.
        shape: voxels along x, y and z.
        where: names the file in messages.

    Raises:
        InputError: the affine is degenerate, or voxels or the whole are too small or too large for millimetres.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) <= _FLATTEST * spacing.prod():
        raise InputError(f"{where}: has shape {shape} and a degenerate affine; export it again with its geometry")
    longest = float((spacing * shape).max())
    if spacing.min() < _VOXEL[0] or spacing.max() > _VOXEL[1] or longest > _LONGEST_SIDE:
        sizes = " x ".join(f"{size:.6g}" for size in spacing)
        raise InputError(
            f"{where}: has voxels of {sizes} mm and a longest side of {longest:.6g} mm; "
            "give a header whose sizes are in millimetres, or one that names their unit"
        )
