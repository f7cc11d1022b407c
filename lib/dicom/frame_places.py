"""On which slice of its scan each frame of a segmentation lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom import Dataset

from lib.dicom.series import SLICE_TOLERANCE, SeriesGrid
from lib.errors import InputError
from lib.images.volume import RAS_TO_LPS

_SAME_DIRECTION = 1e-3
_SAME_MILLIMETRES = 1e-3

# A slice may itself lie a tenth of a voxel off the even grid, and positions are rounded as they are written.
_OFF_GRID = SLICE_TOLERANCE + 0.02

_SEQUENCES = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "ReferencedSegmentNumber": "SegmentIdentificationSequence",
}


@dataclass(frozen=True)
class FramePlace:
    """Where a frame belongs.

    Attributes:
        slice_index: of the grid.
        segment: its segment's number, None where it says none, as in label maps.
    """

    slice_index: int
    segment: int | None


def frame_places(dataset: Dataset, grid: SeriesGrid, *, where: str) -> list[FramePlace]:
    """Find the slice of each frame by the frame's position.

    Args:
        dataset: a segmentation.
        grid: of its scan.
        where: names the segmentation in messages.

    Raises:
        InputError: the frames have another frame of reference, size, orientation, spacing or
            position than the slices of the scan, or the dataset does not say which.
    """
    _check_whole(dataset, grid, where)
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    groups = [(frame, shared) for frame in dataset.get("PerFrameFunctionalGroupsSequence") or []]
    count = int(dataset.get("NumberOfFrames") or 0)
    if not groups or len(groups) != count:
        raise InputError(
            f"{where}: has {count} frames and tells of {len(groups)} where they lie; export the segmentation again"
        )
    axes = (RAS_TO_LPS @ grid.affine)[:3, :2].T / np.array(grid.spacing[:2])[:, None]
    spacing = np.array([grid.spacing[1], grid.spacing[0]])
    _check_like_series(groups, "ImageOrientationPatient", axes.ravel(), _SAME_DIRECTION, where)
    _check_like_series(groups, "PixelSpacing", spacing, _SAME_MILLIMETRES, where)
    positions = np.array([_numbers(group, "ImagePositionPatient", 3, where) for group in groups])
    slices = _slice_indices(positions, grid, where)
    segments = [_find(group, "ReferencedSegmentNumber") for group in groups]
    return [
        FramePlace(int(index), None if segment is None else int(segment))
        for index, segment in zip(slices, segments, strict=True)
    ]


_Groups = tuple[Dataset, Dataset]
"""Functional groups of a frame, and those that all frames share."""


def _check_whole(dataset: Dataset, grid: SeriesGrid, where: str) -> None:
    reference = dataset.get("FrameOfReferenceUID")
    if reference != grid.frame_of_reference_uid:
        raise InputError(
            f"{where}: lies in the frame of reference {reference}, series {grid.series_uid} in "
            f"{grid.frame_of_reference_uid}; draw the segmentation on that series"
        )
    columns, rows = dataset.get("Columns"), dataset.get("Rows")
    if (columns, rows) != grid.shape[:2]:
        raise InputError(
            f"{where}: has frames of {columns} x {rows} pixels, series {grid.series_uid} has "
            f"{grid.shape[0]} x {grid.shape[1]}; export the segmentation on the grid of the series"
        )


def _check_like_series(
    groups: Sequence[_Groups], keyword: str, expected: np.ndarray, tolerance: float, where: str
) -> None:
    for group in groups:
        found = _numbers(group, keyword, len(expected), where)
        if np.abs(found - expected).max() > tolerance:
            raise InputError(
                f"{where}: has a frame with {keyword} {found.tolist()}, its series has "
                f"{expected.round(6).tolist()}; export the segmentation on the grid of the series"
            )


def _slice_indices(positions: np.ndarray, grid: SeriesGrid, where: str) -> np.ndarray:
    indices = grid.indices(positions)
    nearest = np.clip(np.rint(indices[:, 2]), 0, grid.shape[2] - 1)
    off = np.abs(indices - np.stack([0 * nearest, 0 * nearest, nearest], axis=1)).max(axis=1)
    if off.max() > _OFF_GRID:
        frame = int(off.argmax())
        raise InputError(
            f"{where}: frame {frame + 1} lies at {positions[frame].tolist()}, {off[frame]:.2f} voxels off the "
            "slices of its series; export the segmentation on the grid of the series"
        )
    return nearest.astype(int)


def _numbers(group: _Groups, keyword: str, count: int, where: str) -> np.ndarray:
    found = _find(group, keyword)
    numbers = np.array([] if found is None else found, dtype=np.float64)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise InputError(f"{where}: has a frame without {keyword}; export the segmentation with its geometry")
    return numbers


def _find(group: _Groups, keyword: str) -> Any:
    """Value of an attribute of a frame, of its own or shared, None when there is none."""
    for part in group:
        items = part.get(_SEQUENCES[keyword])
        if items and items[0].get(keyword) is not None:
            return items[0].get(keyword)
    return None
