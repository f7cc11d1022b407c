"""Where to look first: the places of a scan at which the heatmap is least sure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

LOWEST, HIGHEST = 0.2, 0.8
"""Probabilities between which a voxel counts as uncertain."""


@dataclass(frozen=True)
class UncertainRegion:
    """A connected region of uncertain voxels of one class.

    Attributes:
        class_name: the class.
        voxel: indices (i, j, k) of its voxel that is closest to its centre, weighted by uncertainty.
        volume_mm3: volume of the region.
        mean_probability: mean of the heatmap over it, 0..1.
        expected_error_mm3: volume that is expected to be wrong there if each voxel is given to its
            likelier side: the sum of min(h, 1 - h).
    """

    class_name: str
    voxel: tuple[int, int, int]
    volume_mm3: float
    mean_probability: float
    expected_error_mm3: float


def uncertain_regions(
    heatmap: np.ndarray, *, classes: Sequence[str], affine: np.ndarray, limit: int = 20
) -> list[UncertainRegion]:
    """Find the regions in which most is expected to be wrong.

    Voxels with a probability from `LOWEST` to `HIGHEST` form regions, voxels that touch at a corner
    included; those of all classes are ranked together.

    Args:
        heatmap: shape (C, x, y, z), probabilities 0..1.
        classes: C names.
        affine: shape (4, 4), from voxel indices to millimetres.
        limit: most regions wanted.

    Returns:
        Regions by falling `expected_error_mm3`; ties in the order of classes and voxels.

    Raises:
        ValueError: the number of classes is not that of the heatmap's channels.
    """
    if heatmap.ndim != 4 or len(heatmap) != len(classes):
        raise ValueError(f"heatmap: has shape {heatmap.shape} for {len(classes)} classes; give (classes, x, y, z)")
    voxel_volume = float(abs(np.linalg.det(affine[:3, :3])))
    regions = [
        region
        for name, channel in zip(classes, heatmap, strict=True)
        for region in _regions_of_class(name, channel, affine, voxel_volume)
    ]
    return sorted(regions, key=lambda region: -region.expected_error_mm3)[:limit]


def _regions_of_class(name: str, h: np.ndarray, affine: np.ndarray, voxel_volume: float) -> list[UncertainRegion]:
    components, _ = ndimage.label((h >= LOWEST) & (h <= HIGHEST), structure=np.ones((3, 3, 3)))
    regions = []
    for index, box in enumerate(ndimage.find_objects(components), 1):
        voxels = np.argwhere(components[box] == index)
        values = h[box][tuple(voxels.T)].astype(np.float64)
        errors = np.minimum(values, 1 - values)
        centre = errors @ voxels / errors.sum()
        # Distances in millimetres: on thick slices the nearest index is not the nearest voxel.
        nearest = np.linalg.norm((voxels - centre) @ affine[:3, :3].T, axis=1).argmin()
        i, j, k = (voxels[nearest] + [part.start for part in box]).tolist()
        regions.append(
            UncertainRegion(
                class_name=name,
                voxel=(i, j, k),
                volume_mm3=len(voxels) * voxel_volume,
                mean_probability=float(values.mean()),
                expected_error_mm3=float(errors.sum()) * voxel_volume,
            )
        )
    return regions
