"""On which slice of its scan each frame of a segmentation lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom import Dataset

from lib.dicom.series import SLICE_TOLERANCE, SeriesGrid
from lib.errors import InputError
from lib.images.grid_distance import SAME_GRID, corner_distance
from lib.images.volume import RAS_TO_LPS

_SAME_DIRECTION = 1e-3

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
    _check_planes(groups, grid, where)
    positions = np.array([_numbers(group, "ImagePositionPatient", 3, where) for group in groups])
    slices = _slice_indices(positions, grid, where)
    segments = [_find(group, "ReferencedSegmentNumber") for group in groups]
    most = grid.shape[2] * len(set(segments))
    if count > most:
        raise InputError(
            f"{where}: has {count} frames, its series {grid.shape[2]} slices, so that at most {most} would be right; "
            "export the segmentation again with one frame for each slice of a segment"
        )
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


def _check_planes(groups: Sequence[_Groups], grid: SeriesGrid, where: str) -> None:
    """Check that frames lie along the grid, wherever on it they are."""
    lps = RAS_TO_LPS @ grid.affine
    axes = (lps[:3, :2] / np.array(grid.spacing[:2])).T.ravel()
    spacing = np.array([grid.spacing[1], grid.spacing[0]])
    plane = _plane(axes, spacing, lps)
    for group in groups:
        orientation = _numbers(group, "ImageOrientationPatient", 6, where)
        pixels = _numbers(group, "PixelSpacing", 2, where)
        if corner_distance(_plane(orientation, pixels, lps), plane, (*grid.shape[:2], 1)) > SAME_GRID:
            is_turned = np.abs(orientation - axes).max() > _SAME_DIRECTION
            keyword, found, expected = (
                ("ImageOrientationPatient", orientation, axes) if is_turned else ("PixelSpacing", pixels, spacing)
            )
            raise InputError(
                f"{where}: has a frame with {keyword} {found.tolist()}, its series has "
                f"{expected.round(6).tolist()}; export the segmentation on the grid of the series"
            )


def _plane(orientation: np.ndarray, spacing: np.ndarray, lps: np.ndarray) -> np.ndarray:
    """Affine of a slice whose first pixel lies at 0, as thick as those of the series."""
    affine = np.eye(4)
    affine[:3, :2] = orientation.reshape(2, 3).T * spacing[::-1]
    affine[:3, 2] = lps[:3, 2]
    return affine


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
