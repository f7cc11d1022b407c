"""What the labelled scans have in common: spacing, size, foreground grey values, lesion volumes.

The fingerprint is what the preprocessing plan is made from (nnU-Net's term; paper, section 3.2).
Scans are read one at a time, and what is kept of each is bounded.
"""

import math
from collections.abc import Iterable

import nibabel as nib
import numpy as np
from pydantic import BaseModel, ConfigDict

from lib.errors import InputError
from lib.images.volume import Volume
from lib.task.task import Modality, Task

PERCENTILES = (0.5, 99.5)
"""Percentiles of the grey values between which scans are clipped (paper, section 3.2)."""

FOREGROUND_VALUES = 10_000
"""Foreground grey values that are kept of one scan."""

_SIGNIFICANT_DIGITS = 6


class ScanFingerprint(BaseModel):
    """One labelled scan, axes in the order left-right, posterior-anterior, inferior-superior."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shape: tuple[int, int, int]
    """Voxels."""
    spacing: tuple[float, float, float]
    """Millimetres between voxel centres."""
    volumes: tuple[float, ...]
    """Foreground of each class in mm3."""
    foreground: tuple[float, ...]
    """Ascending grey values of foreground voxels: all of them, or 10,000 evenly spaced order statistics."""


class ForegroundIntensities(BaseModel):
    """Grey values of the foreground over all labelled scans."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: float
    """0.5th percentile."""
    high: float
    """99.5th percentile."""
    mean: float
    """Mean after clipping to `low` and `high`."""
    sd: float
    """Standard deviation after clipping, 0 for a constant foreground."""


class Fingerprint(BaseModel):
    """All labelled scans together; the same for any order of the scans.

    Figures are rounded to six significant digits, so that hashes of them are stable.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    modality: Modality
    scan_count: int
    median_spacing: tuple[float, float, float]
    """Median over the scans, each axis by itself, in millimetres."""
    median_extent: tuple[float, float, float]
    """Median distance from the first to the last voxel centre along each axis, in millimetres."""
    largest_extent: tuple[float, float, float]
    """Largest distance from the first to the last voxel centre along each axis, in millimetres."""
    foreground: ForegroundIntensities | None
    """None when no scan holds any foreground."""
    typical_volumes: tuple[float, ...]
    """Mean volume of each class in mm3 over the scans that hold it; 0 for a class that none holds."""

    @classmethod
    def merge(cls, scans: Iterable[ScanFingerprint], task: Task) -> "Fingerprint":
        """Merge the fingerprints of the labelled scans.

        Raises:
            InputError: there are none.
        """
        scans = list(scans)
        if not scans:
            raise InputError("no labelled scans were found; label some first, labels belong in labels/final")
        extents = np.array([[(n - 1) * s for n, s in zip(scan.shape, scan.spacing, strict=True)] for scan in scans])
        return cls(
            modality=task.modality,
            scan_count=len(scans),
            median_spacing=_triple(np.median([scan.spacing for scan in scans], axis=0)),
            median_extent=_triple(np.median(extents, axis=0)),
            largest_extent=_triple(extents.max(axis=0)),
            foreground=_intensities(np.concatenate([np.asarray(scan.foreground) for scan in scans])),
            typical_volumes=tuple(
                typical_volume(scan.volumes[position] for scan in scans) for position in range(len(task.classes))
            ),
        )


def fingerprint_scan(scan: Volume, label: Volume, task: Task) -> ScanFingerprint:
    """Fingerprint one labelled scan.

    Args:
        scan: grey values, axes in any order.
        label: the task's label values on the grid of the scan.
        task: gives the classes.

    Returns:
        The scan's fingerprint; it does not depend on the order of the axes in the file.
    """
    axes = nib.io_orientation(scan.affine)[:, 0].astype(int)
    order = np.argsort(axes)
    voxel_volume = scan.voxel_volume
    counts = [np.count_nonzero(label.array == value) for value in task.labels.values()]
    x, y, z = (scan.shape[axis] for axis in order)
    return ScanFingerprint(
        shape=(x, y, z),
        spacing=_triple(np.array(scan.spacing)[order]),
        volumes=tuple(rounded(count * voxel_volume) for count in counts),
        foreground=tuple(_order_statistics(scan.array[label.array > 0]).tolist()),
    )


def typical_volume(volumes: Iterable[float]) -> float:
    """Mean of the volumes above 0, 0.0 when there is none."""
    present = sorted(volume for volume in volumes if volume > 0)
    return rounded(math.fsum(present) / len(present)) if present else 0.0


def rounded(value: float) -> float:
    """The value to six significant digits."""
    return float(f"{float(value):.{_SIGNIFICANT_DIGITS}g}")


def _order_statistics(values: np.ndarray) -> np.ndarray:
    ordered = np.sort(values.astype(np.float64))
    if ordered.size <= FOREGROUND_VALUES:
        return ordered
    return ordered[np.linspace(0, ordered.size - 1, FOREGROUND_VALUES).round().astype(np.int64)]


def _intensities(values: np.ndarray) -> ForegroundIntensities | None:
    if values.size == 0:
        return None
    # Sorted, because the rounding of a floating-point sum depends on the order of the scans.
    values = np.sort(values)
    low, high = np.percentile(values, PERCENTILES)
    clipped = np.clip(values, low, high)
    return ForegroundIntensities(
        low=rounded(low),
        high=rounded(high),
        mean=rounded(clipped.mean()),
        sd=rounded(clipped.std()) if high > low else 0.0,
    )


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (rounded(value) for value in values)
    return x, y, z
