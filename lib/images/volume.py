"""An array with a place in the world, and checks of grids and label values."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lib.errors import InputError
from lib.images.grid_distance import SAME_GRID, corner_distance
from lib.images.nifti_forms import NiftiForms

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From the millimetres of NIfTI and of all volumes here to those of DICOM and NRRD, and back."""

# Tools scale labels that they store as another type, and 1 comes back as 1.00000002.
_ROUNDING = 1e-3


class Gridded(Protocol):
    """What lies on a grid."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each axis."""

    @property
    def affine(self) -> np.ndarray:
        """Shape (4, 4), from voxel indices to RAS millimetres."""


@dataclass(frozen=True)
class Grid:
    """Where voxels lie, without their values; the attributes are those of `Volume`."""

    shape: tuple[int, int, int]
    affine: np.ndarray


@dataclass(frozen=True)
class Volume:
    """A three-dimensional array and where its voxels lie.

    Attributes:
        array: shape (x, y, z), in the order of the axes of the file.
        affine: shape (4, 4), float64, from voxel indices to RAS millimetres.
        forms: the header of the NIfTI file that the volume was read from, None for others. What is written with them
            lies where that file lies, in every program.
    """

    array: np.ndarray
    affine: np.ndarray
    forms: NiftiForms | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along each axis."""
        x, y, z = self.array.shape
        return x, y, z

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between voxel centres along each axis."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def voxel_volume(self) -> float:
        """Cubic millimetres of a voxel, also where axes are sheared."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))


def check_label_values(array: np.ndarray, *, values: Collection[int], where: str) -> None:
    """Check that a label holds only known values.

    Raises:
        InputError: a voxel is not finite, not within a thousandth of a whole number, or not one of 0 and `values`.
    """
    found = np.unique(array)
    if not np.isfinite(found).all():
        raise InputError(f"{where}: the label holds NaN or infinite values; save it again as whole numbers")
    fractions = found[np.abs(found - np.rint(found)) > _ROUNDING]
    if fractions.size:
        raise InputError(f"{where}: the label holds {fractions[0]}, no whole number; save it again as whole numbers")
    unknown = sorted(set(np.rint(found).tolist()) - {0, *values})
    if unknown:
        shown = ", ".join(f"{value:g}" for value in unknown[:5])
        known = ", ".join(str(value) for value in sorted({0, *values}))
        raise InputError(f"{where}: the label holds the unknown class {shown}; the task knows {known}")


def check_same_grid(label: Gridded, scan: Gridded, *, where: str) -> None:
    """Check that a label lies on the voxels of its scan: no corner is further than `SAME_GRID` from the scan's.

    Raises:
        InputError: the shapes differ, or a corner lies further away.
    """
    check_same_shape(label.shape, scan, where=where)
    distance = corner_distance(label.affine, scan.affine, scan.shape)
    if distance > SAME_GRID:
        raise InputError(
            f"{where}: the label lies up to {distance:.3g} voxels from its scan, at most {SAME_GRID} would be right; "
            "save the label on the grid of the scan"
        )


def check_same_shape(shape: tuple[int, ...], scan: Gridded, *, where: str) -> None:
    """Check that a label has as many voxels along each axis as its scan.

    Raises:
        InputError: it has not.
    """
    if tuple(shape) != tuple(scan.shape):
        raise InputError(
            f"{where}: the label has shape {tuple(shape)}, its scan {tuple(scan.shape)}; "
            "save the label on the grid of the scan"
        )
