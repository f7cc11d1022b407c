"""Region masks."""

from pathlib import Path

import numpy as np

from lib.images.files import read_scan
from lib.images.volume import Gridded, Volume, check_same_grid

EMPTY = "the region mask marks no voxel; draw the region, or remove the mask so that the scan is used whole"
"""What is said of a mask that leaves nothing of a scan."""


def read_region(path: Path, scan: Gridded) -> Volume:
    """Read a region mask as booleans; every value above 0 is inside.

    Raises:
        InputError: the file is unreadable or lies on another grid than the scan.
    """
    mask = read_scan(path, grid=scan)
    check_same_grid(mask, scan, where=str(path))
    return Volume(mask.array > 0, mask.affine)


def inside_region(array: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Give an array with 0 outside a mask; the array itself where there is no mask.

    Args:
        array: shape (*channels, x, y, z).
        mask: shape (x, y, z); every value above 0 is inside.
    """
    return array if mask is None else array * (mask > 0)
