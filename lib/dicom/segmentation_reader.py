"""A DICOM segmentation as a label on the grid of its scan."""

from collections.abc import Mapping

import numpy as np
from pydicom import Dataset
from pydicom.uid import UID, SegmentationStorage

from lib.dicom.frame_places import frame_places
from lib.dicom.segment_names import segment_values
from lib.dicom.segmentation_frames import segmentation_frames
from lib.dicom.series import SeriesGrid
from lib.errors import InputError

LABEL_MAP_STORAGE = UID("1.2.840.10008.5.1.4.1.1.66.7")
"""Label Map Segmentation Storage, whose name pydicom 2.4 does not know."""


def read_segmentation(dataset: Dataset, grid: SeriesGrid, *, labels: Mapping[str, int]) -> np.ndarray:
    """Read a segmentation, of all or some slices, as a label.

    Segments are matched by their names (see `segment_values`), never by their numbers, and frames
    by their positions, so that their order does not matter. Slices without a frame are background.

    Args:
        dataset: binary or label map segmentation, with its pixels.
        grid: of the scan.
        labels: the task's classes, name to value.

    Returns:
        uint8, shape of the grid, values of the task.

    Raises:
        InputError: naming the segmentation's series: it is fractional or no segmentation, lies in
            another frame of reference or off the grid, has a segment that is no class of the task,
            pixels that cannot be decoded, or a voxel in two classes, of which neither is chosen.
    """
    where = f"segmentation series {dataset.get('SeriesInstanceUID')}"
    is_label_map = _is_label_map(dataset, where)
    values = segment_values(
        list(dataset.get("SegmentSequence") or []), labels=labels, is_label_map=is_label_map, where=where
    )
    places = frame_places(dataset, grid, where=where)
    label = np.zeros(grid.shape[::-1], dtype=np.uint8)
    names = {value: name for name, value in labels.items()}
    table = _value_table(dataset, values) if is_label_map else None
    for place, pixels in zip(places, segmentation_frames(dataset, where=where), strict=True):
        if table is not None:
            classes = _label_values(pixels, table, where)
        else:
            classes = np.where(pixels, _segment_value(place.segment, values, where), np.uint8(0))
        _add_frame(label[place.slice_index], classes, names, f"{where}: slice {place.slice_index + 1}")
    return label.T


_UNKNOWN = -1


def _is_label_map(dataset: Dataset, where: str) -> bool:
    """Whether it is a label map; what is neither that nor binary is refused."""
    storage, kind = dataset.get("SOPClassUID"), dataset.get("SegmentationType")
    if storage == LABEL_MAP_STORAGE:
        return True
    if storage != SegmentationStorage or kind != "BINARY":
        found = f"a {kind} segmentation" if storage == SegmentationStorage else f"an object of class {storage}"
        raise InputError(f"{where}: is {found}; export it as a binary or label map segmentation")
    return False


def _value_table(dataset: Dataset, values: Mapping[int, int]) -> np.ndarray:
    """Pixel value to value of the task, -1 where a pixel value means no segment."""
    table = np.full(1 << 16, _UNKNOWN, dtype=np.int16)
    table[0] = 0
    padding = dataset.get("PixelPaddingValue")
    if padding is not None:
        table[int(padding)] = 0
    table[list(values)] = list(values.values())
    return table


def _label_values(pixels: np.ndarray, table: np.ndarray, where: str) -> np.ndarray:
    classes = table[pixels]
    if (classes == _UNKNOWN).any():
        value = int(pixels[classes == _UNKNOWN][0])
        raise InputError(
            f"{where}: has pixels of value {value}, which no segment describes; export the segmentation again"
        )
    return classes.astype(np.uint8)


def _segment_value(segment: int | None, values: Mapping[int, int], where: str) -> np.uint8:
    if segment is None or segment not in values:
        raise InputError(
            f"{where}: has a frame of segment {segment}, which it does not describe; export the segmentation again"
        )
    return np.uint8(values[segment])


def _add_frame(plane: np.ndarray, classes: np.ndarray, names: Mapping[int, str], where: str) -> None:
    """Put the foreground of a frame onto its slice."""
    conflict = (plane > 0) & (classes > 0) & (plane != classes)
    if conflict.any():
        first, second = names[int(plane[conflict][0])], names[int(classes[conflict][0])]
        raise InputError(
            f"{where}: {int(conflict.sum())} voxels are {first} as well as {second}; "
            "give each voxel one class and export the segmentation again"
        )
    np.maximum(plane, classes, out=plane)
