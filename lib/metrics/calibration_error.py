"""How far probabilities are from the frequencies that they promise, from counts that add up over scans."""

import numpy as np

from lib.calibration.statistics.probability_counts import ReliabilityCounts


def calibration_errors(in_bins: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expected, average and maximum calibration error (ECE, ACE, MCE).

    Each compares, in every bin that holds voxels, the mean probability with the share of foreground.
    ECE weights the differences by the voxels, ACE weights all bins alike, MCE is the largest.

    Args:
        in_bins: voxels, foreground and heat, shape (..., 3, bins); see `ReliabilityCounts.in_error_bins`.

    Returns:
        Three arrays of shape (...), 0..1, NaN where there are no voxels.
    """
    voxels, foreground, heat = np.moveaxis(in_bins, -2, 0)
    difference = np.abs(heat - foreground)
    filled = voxels > 0
    gap = np.divide(difference, voxels, out=np.zeros_like(difference), where=filled)
    with np.errstate(invalid="ignore"):
        expected = difference.sum(axis=-1) / voxels.sum(axis=-1)
        average = gap.sum(axis=-1) / filled.sum(axis=-1)
    maximum = np.where(filled.any(axis=-1), gap.max(axis=-1), np.nan)
    return expected, average, maximum


def parzen_curve(counts: ReliabilityCounts, *, half_width: float = 0.05, points: int = 101) -> np.ndarray:
    """Reliability curve by Parzen windows with a linear kernel, as in the paper's calibration figures.

    A window is a triangle of this half width around each of the points. Its abscissa is the weighted mean of the
    probabilities in it rather than its centre, so that perfect probabilities lie on the diagonal also
    where voxels crowd at one side of the window.

    Args:
        counts: of any voxels.
        half_width: distance at which a voxel's weight reaches 0.
        points: windows, with centres evenly from 0 to 1.

    Returns:
        float64 (m, 3), m <= points: mean probability, share of foreground, and weight in voxels of each
        window that holds any, in ascending order.
    """
    filled = counts.voxels > 0
    place = counts.heat[filled] / counts.voxels[filled]
    distance = np.abs(np.linspace(0, 1, points)[:, None] - place)
    kernel = np.maximum(0, 1 - distance / half_width)
    weight = kernel @ counts.voxels[filled]
    sums = np.stack([kernel @ counts.heat[filled], kernel @ counts.foreground[filled], weight], axis=1)
    sums = sums[weight > 0]
    return np.column_stack([sums[:, :2] / sums[:, 2:], sums[:, 2]])


def equal_mass_curve(counts: ReliabilityCounts, *, bins: int = 15) -> np.ndarray:
    """Reliability curve by bins that hold about equally many voxels.

    Voxels whose probabilities share a fine bin are never parted, so that a probability which many voxels
    share makes a larger bin, and there may be fewer bins than asked for.

    Args:
        counts: of any voxels.
        bins: most bins.

    Returns:
        float64 (m, 3), m <= bins: mean probability, share of foreground, and voxels of each bin, in
        ascending order.
    """
    filled = np.flatnonzero(counts.voxels)
    if not filled.size:
        return np.zeros((0, 3))
    voxels = counts.voxels[filled]
    # The bin that the middle voxel of a fine bin falls into.
    middle = (np.cumsum(voxels) - voxels / 2) / voxels.sum()
    group = np.minimum((middle * bins).astype(np.intp), bins - 1)
    _, group = np.unique(group, return_inverse=True)
    total, foreground, heat = (
        np.bincount(group, values[filled]) for values in (counts.voxels, counts.foreground, counts.heat)
    )
    return np.column_stack([heat / total, foreground / total, total])
