"""What highdicom objects are made with: the headers of their source images, and the program that makes them."""

import copy
import logging
from collections.abc import Callable, Sequence
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.valuerep import DA, DT, TM, DSfloat

from lib.dicom.series import SeriesGrid
from lib.errors import InputError
from lib.version import package_version

_PRODUCT = "Calibrated ensemble"

EQUIPMENT = {
    "manufacturer": _PRODUCT,
    "manufacturer_model_name": _PRODUCT,
    "software_versions": package_version(),
    "device_serial_number": "0",
}
"""Arguments of every highdicom object."""

logger = logging.getLogger(__name__)

_REQUIRED_OF_EACH = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "Rows",
    "Columns",
    "ImagePositionPatient",
)

# May be empty, but highdicom fails where they are absent, as they often are in what a PACS answers.
_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
_PARSERS: dict[str, Callable[[Any], Any]] = {"DA": DA, "DT": DT, "TM": TM}
"""What reads values as highdicom does; PACS hold 00000000, 1970-01-01 and 12:30:00 as well."""

_LOSSY = ("LossyImageCompressionRatio", "LossyImageCompressionMethod")
_SEXES = ("M", "F", "O")


def source_images(headers: Sequence[Dataset], grid: SeriesGrid) -> list[Dataset]:
    """Give copies of headers in the order of the grid, with all that highdicom asks for.

    The first also holds what objects take over from their source: patient, study, compression.

    Args:
        headers: of the images of a series, from files or from DICOMweb.
        grid: of the same series.

    Raises:
        InputError: a header lacks its place in the patient's records.
    """
    by_instance = {str(header.SOPInstanceUID): header for header in headers}
    images = []
    for uid in grid.sop_instance_uids:
        header = by_instance[uid]
        image = Dataset()
        for keyword in _REQUIRED_OF_EACH:
            if not header.get(keyword):
                raise InputError(
                    f"series {grid.series_uid}: image {uid} has no {keyword}; send the series with complete headers"
                )
            image.add(copy.copy(header[keyword]))
        images.append(image)
    _complete_first(images[0], by_instance[grid.sop_instance_uids[0]], grid)
    return images


def _usable(header: Dataset, tag: BaseTag) -> DataElement | None:
    """A copy of an element, without a value where that is no date or time; None where it cannot be read at all.

    Names are decoded by the character set of the header.
    """
    try:
        element = copy.copy(header[tag])
    except (ValueError, TypeError, OverflowError) as error:
        logger.info("%s of a scan is not taken over: %s", keyword_for_tag(tag) or tag, type(error).__name__)
        return None
    if isinstance(element.value, MultiValue) and element.keyword in _MAY_BE_EMPTY:
        element.value = element.value[0] if element.value else None
    parse = _PARSERS.get(element.VR)
    if parse is not None:
        try:
            parse(element.value)
        except (ValueError, TypeError):
            element.value = None
    return element


def _complete_first(image: Dataset, header: Dataset, grid: SeriesGrid) -> None:
    for tag in header.keys():  # noqa: SIM118 - a dataset iterates over its elements, and stops at one that is none
        element = _usable(header, tag)
        if element is not None:
            image.add(element)
    for keyword in _MAY_BE_EMPTY:
        image.setdefault(keyword, None)
    if image.get("LossyImageCompression") == "01":
        for keyword in _LOSSY:
            image.setdefault(keyword, None)
    if image.PatientSex not in _SEXES:
        image.PatientSex = None
    # What is drawn fills the voxels of the grid, however thick the scanner's slices were.
    image.SliceThickness = image.SpacingBetweenSlices = DSfloat(grid.spacing[2], auto_format=True)
