"""A label as a DICOM segmentation of its series."""

from collections.abc import Mapping, Sequence

import numpy as np
from highdicom import UID, AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from pydicom import Dataset
from pydicom.sr.coding import Code

from lib.dicom.cielab import cielab
from lib.dicom.series import series_grid
from lib.dicom.source_images import EQUIPMENT, source_images
from lib.errors import InputError
from lib.images.volume import check_label_values

_SERIES_NUMBER = 1000
_TISSUE = Code("85756007", "SCT", "Tissue")
_ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")


def segmentation_dataset(
    label: np.ndarray,
    headers: Sequence[Dataset],
    *,
    labels: Mapping[str, int],
    colours: Mapping[str, tuple[int, int, int]],
    description: str = "Label",
    creator: str = "",
    generation: str | None = None,
) -> Segmentation:
    """Make a binary segmentation, in a new series of the study of its scan.

    Segments are the classes that the label holds, numbered from 1 in the order of the task. An
    empty label describes all classes, with one empty frame for each, since a segmentation without
    frames is none.

    Args:
        label: uint8, shape (columns, rows, slices), on the grid of the series (see `series_grid`).
        headers: of the images of the series, in any order, from files or from DICOMweb.
        labels: the task's classes, name to value.
        colours: class name to red, green, blue, 0..255.
        description: SeriesDescription.
        creator: who drew the label, never the patient; at most 64 characters.
        generation: id of the generation whose prediction was the start; without it the label
            counts as drawn by hand.

    Raises:
        InputError: as `series_grid`, and when the label has another shape than the series or
            holds a value that is no class.
    """
    grid = series_grid(headers)
    where = f"label of series {grid.series_uid}"
    if label.shape != grid.shape:
        raise InputError(f"{where}: has shape {label.shape}, the series {grid.shape}; give a label on its grid")
    planes = np.ascontiguousarray(label.T)
    present = _distinct_values(planes)
    check_label_values(present, values=labels.values(), where=where)
    classes = [name for name, value in labels.items() if value in present] or list(labels)
    numbers = np.zeros(256, dtype=np.uint8)
    numbers[[labels[name] for name in classes]] = np.arange(1, len(classes) + 1)
    images = source_images(headers, grid)
    is_empty = not present.any()
    if is_empty:
        planes, images = planes[:1], images[:1]
    segmentation = Segmentation(
        source_images=images,
        pixel_array=numbers[planes],
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _describe_segment(number, name, colours[name], generation) for number, name in enumerate(classes, 1)
        ],
        series_instance_uid=UID(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=UID(),
        instance_number=1,
        # A caret marks what is no full name as meant so.
        content_creator_name=(creator if "^" in creator else f"{creator}^") if creator else None,
        content_description=description,
        series_description=description,
        omit_empty_frames=not is_empty,
        **EQUIPMENT,
    )
    # highdicom names no character set, and names of patients and classes may need one.
    segmentation.SpecificCharacterSet = "ISO_IR 192"
    return segmentation


def _distinct_values(planes: np.ndarray) -> np.ndarray:
    """Distinct values of a uint8 array, plane by plane: sorting all voxels would take seconds."""
    return np.flatnonzero(sum(np.bincount(plane.ravel(), minlength=256) for plane in planes))


def _describe_segment(
    number: int, name: str, colour: tuple[int, int, int], generation: str | None
) -> SegmentDescription:
    algorithm = None
    if generation is not None:
        algorithm = AlgorithmIdentificationSequence(
            name=EQUIPMENT["manufacturer_model_name"],
            family=_ARTIFICIAL_INTELLIGENCE,
            version=generation,
        )
    segment = SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=_TISSUE,
        segmented_property_type=_TISSUE,
        algorithm_type=(
            SegmentAlgorithmTypeValues.MANUAL if algorithm is None else SegmentAlgorithmTypeValues.SEMIAUTOMATIC
        ),
        algorithm_identification=algorithm,
    )
    segment.RecommendedDisplayCIELabValue = list(CIELabColor(*cielab(colour)).value)
    return segment
