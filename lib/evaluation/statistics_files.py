"""Statistics of scans in files, so that no scan is predicted twice."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lib.calibration.statistics.probability_counts import ReliabilityCounts
from lib.evaluation.scan_statistics import ScanStatistics, ShownSlice
from lib.images.volume import Volume
from lib.storage.arrays import read_arrays, write_arrays

LAYOUT = 2
"""Changes with what a file holds, and how it comes about."""


def write_statistics(path: Path, statistics: ScanStatistics) -> None:
    """Keep the statistics of a scan, whole or not at all.

    Raises:
        StorageError: the file cannot be written.
    """
    arrays: dict[str, np.ndarray] = {}
    for part in ("true_dsc", "votes", "estimates"):
        arrays |= _in_folder(part, getattr(statistics, part))
    arrays |= _in_folder("seconds", {name: np.array(value) for name, value in statistics.seconds.items()})
    for name, by_class in statistics.reliability.items():
        arrays[f"squared_error/{name}"] = np.array([counts.squared_error for counts in by_class])
        arrays |= _in_folder(f"reliability/{name}", {str(number): _filled(one) for number, one in enumerate(by_class)})
    shown = statistics.shown
    arrays |= {"shown/scan": shown.scan.array, "shown/affine": shown.scan.affine}
    arrays |= {"shown/segmentation": shown.segmentation, "shown/label": shown.label}
    arrays |= _in_folder("heatmaps", shown.heatmaps)
    write_arrays(path, arrays)


def read_statistics(path: Path) -> ScanStatistics:
    """Read what `write_statistics` wrote.

    Raises:
        ValueError: the file is damaged.
    """
    arrays = read_arrays(path)
    reliability = {
        name: tuple(
            _counts(arrays[f"reliability/{name}/{number}"], float(error)) for number, error in enumerate(errors)
        )
        for name, errors in _below("squared_error", arrays).items()
    }
    shown = _below("shown", arrays)
    return ScanStatistics(
        true_dsc=_below("true_dsc", arrays),
        reliability=reliability,
        votes=_below("votes", arrays),
        estimates=_below("estimates", arrays),
        seconds={name: float(value) for name, value in _below("seconds", arrays).items()},
        shown=ShownSlice(
            Volume(shown["scan"], shown["affine"]),
            shown["segmentation"],
            shown["label"],
            _below("heatmaps", arrays),
        ),
    )


def _in_folder(folder: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{folder}/{name}": array for name, array in arrays.items()}


def _below(folder: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    prefix = f"{folder}/"
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}


def _filled(counts: ReliabilityCounts) -> np.ndarray:
    """The bins that hold voxels, nearly none: number of the bin, voxels, foreground and heat, float64 (4, n)."""
    bins = np.flatnonzero(counts.voxels)
    return np.stack([bins, counts.voxels[bins], counts.foreground[bins], counts.heat[bins]])


def _counts(filled: np.ndarray, squared_error: float) -> ReliabilityCounts:
    counts = ReliabilityCounts.zeros()
    bins = filled[0].astype(np.intp)
    for array, values in zip((counts.voxels, counts.foreground, counts.heat), filled[1:], strict=True):
        array[bins] = values
    return ReliabilityCounts(counts.voxels, counts.foreground, counts.heat, squared_error)
