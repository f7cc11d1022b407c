"""A heatmap as a DICOM parametric map of its series."""

from collections.abc import Sequence

import numpy as np
from highdicom import UID
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.sr import CodedConcept
from pydicom import Dataset
from pydicom.sr.coding import Code

from lib.dicom.series import series_grid
from lib.dicom.source_images import EQUIPMENT, source_images
from lib.errors import InputError

_SERIES_NUMBER = 1001


def parametric_map(
    heatmap: np.ndarray, headers: Sequence[Dataset], *, class_name: str, generation: str
) -> ParametricMap:
    """Make a parametric map of the probability of one class, in a new series of the study of its scan.

    Args:
        heatmap: float32, shape (columns, rows, slices), 0..1, on the grid of the series (see `series_grid`).
        headers: of the images of the series, in any order, from files or from DICOMweb.
        class_name: the class whose probability it is.
        generation: id of the generation that made it.

    Raises:
        InputError: as `series_grid`, and when the heatmap has another shape than the series or
            holds anything but probabilities.
    """
    grid = series_grid(headers)
    where = f"heatmap of series {grid.series_uid}"
    if heatmap.shape != grid.shape:
        raise InputError(f"{where}: has shape {heatmap.shape}, the series {grid.shape}; give a heatmap on its grid")
    low, high = float(heatmap.min()), float(heatmap.max())
    if not 0 <= low <= high <= 1:
        raise InputError(f"{where}: holds values from {low:g} to {high:g}; give probabilities, 0 to 1")
    result = ParametricMap(
        source_images=source_images(headers, grid),
        pixel_array=np.ascontiguousarray(heatmap.T, dtype=np.float32),
        series_instance_uid=UID(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=UID(),
        instance_number=1,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_probability_mapping(class_name)],
        window_center=0.5,
        window_width=1.0,
        content_description=f"Probability of {class_name}, generation {generation}"[:64],
        series_description=f"Heatmap of {class_name}"[:64],
        content_label="HEATMAP",
        **EQUIPMENT,
    )
    # highdicom names no character set, and names of patients and classes may need one.
    result.SpecificCharacterSet = "ISO_IR 192"
    # highdicom 0.22 takes any shared coordinate for the same place, and gives all axial frames the same index.
    for index, frame in enumerate(result.PerFrameFunctionalGroupsSequence, 1):
        frame.FrameContentSequence[0].DimensionIndexValues = [index]
    result.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [_anatomy()]
    return result


def _anatomy() -> Dataset:
    """No more than that it is of a body: dcmqi, and 3D Slicer with it, crashes where there is nothing."""
    anatomy = Dataset()
    anatomy.FrameLaterality = "U"
    anatomy.AnatomicRegionSequence = [CodedConcept("38266002", "SCT", "Entire body")]
    return anatomy


def _probability_mapping(class_name: str) -> RealWorldValueMapping:
    return RealWorldValueMapping(
        lut_label="PROBABILITY",
        lut_explanation=f"Probability of {class_name}"[:64],
        unit=Code("1", "UCUM", "probability"),
        value_range=(0.0, 1.0),
        slope=1.0,
        intercept=0.0,
        quantity_definition=Code("122157", "DCM", "Probability"),
    )
