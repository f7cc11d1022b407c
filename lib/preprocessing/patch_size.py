"""Shapes of patches and windows that suit scans, spacing and network."""

import math

import numpy as np
from monai.networks.nets.segresnet_ds import scales_for_resolution

Shape = tuple[int, int, int]

Spacing = tuple[float, float, float]

# Of the patches with nearly as many voxels as the budget allows the most cubic one is taken.
_NEARLY_ALL = 0.9

# A window up to half as large again as the patch costs less than the eight windows that overlap otherwise.
_WINDOW_STRETCH = 1.5


def shape_factor(spacing: Spacing, *, stage_count: int) -> Shape:
    """What each axis of the network's input must be a multiple of.

    The same rule as `SegResNetDS.shape_factor()`, without building the network: at anisotropic
    spacing the first stages do not downsample the thick axes.

    Args:
        spacing: the network's resolution in millimetres.
        stage_count: stages of the encoder, at least 1.
    """
    scales = scales_for_resolution(spacing, n_stages=stage_count)[:-1]
    x, y, z = np.array(scales, dtype=int).reshape(-1, 3).prod(axis=0).tolist()
    return x, y, z


def shape_at(extent: tuple[float, float, float], spacing: Spacing) -> Shape:
    """Number of voxels along each axis of a scan of this extent (centre to centre, mm) at a spacing (mm)."""
    x, y, z = (math.floor(length / step + 0.5) + 1 for length, step in zip(extent, spacing, strict=True))
    return x, y, z


def patch_size(shape: Shape, *, spacing: Spacing, factor: Shape, budget: int) -> Shape:
    """Shape of a patch that suits scans of a shape and holds at most `budget` voxels.

    Args:
        shape: typical shape of a scan in voxels.
        spacing: millimetres between voxel centres.
        factor: the patch is a multiple of this along each axis.
        budget: voxels; exceeded only where even the smallest patch that the network takes does.

    Returns:
        The patch: nowhere longer than the shape, rounded up; of all that have at least nine tenths
        of the voxels that are possible so, the one nearest to a physical cube.
    """
    whole = [math.ceil(size / step) for size, step in zip(shape, factor, strict=True)]
    return fit_to_budget(whole, spacing=spacing, factor=factor, budget=budget)


def fit_to_budget(whole: list[int], *, spacing: Spacing, factor: Shape, budget: int) -> Shape:
    """At most `whole` multiples of the factor along each axis that fit the budget: many voxels, nearly a cube.

    Args:
        whole: multiples of the factor along each axis, each at least 1.
        spacing: millimetres between voxel centres.
        factor: the result is a multiple of this along each axis.
        budget: voxels; exceeded only where even the smallest patch that the network takes does.
    """
    lengths = np.array(factor) * spacing
    if math.prod(whole) == 1:
        # Instance norm needs two voxels at the bottom of the network.
        whole = list(whole)
        whole[int(np.argmin(lengths))] = 2
    # At most 64 steps an axis, so that scans of thousands of voxels without downsampling stay quick.
    steps = (np.unique(np.linspace(1, count, min(count, 64)).astype(int)) for count in whole)
    counts = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    counts = counts[counts.prod(axis=1) > 1]
    voxels = counts.prod(axis=1) * math.prod(factor)
    fits = voxels <= max(budget, voxels.min())
    counts, voxels = counts[fits], voxels[fits]
    counts = counts[voxels >= _NEARLY_ALL * voxels.max()]
    sides = counts * lengths
    elongation = sides.max(axis=1) / sides.min(axis=1)
    best = np.lexsort((-counts.prod(axis=1), elongation))[0]
    x, y, z = (counts[best] * factor).tolist()
    return x, y, z


def window_size(largest: Shape, *, patch: Shape, factor: Shape) -> Shape:
    """Shape of the window in which scans are predicted: the largest scan's where it is little longer than the patch.

    Args:
        largest: shape of the largest labelled scan, in voxels of the network's resolution.
        patch: that the network is trained on.
        factor: the window is a multiple of this along each axis.
    """

    def along(axis: int) -> int:
        covering = math.ceil(largest[axis] / factor[axis]) * factor[axis]
        return covering if covering <= _WINDOW_STRETCH * patch[axis] else patch[axis]

    window = along(0), along(1), along(2)
    # Scans smaller than the smallest patch still need its two voxels at the bottom of the network.
    return window if math.prod(window) > math.prod(factor) else patch
