"""Headers of a series as highdicom wants its source images to be."""

import copy
from collections.abc import Sequence

from pydicom import Dataset
from pydicom.valuerep import DSfloat

from lib.dicom.series import SeriesGrid
from lib.errors import InputError

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


def _complete_first(image: Dataset, header: Dataset, grid: SeriesGrid) -> None:
    for element in header:  # one by one, so that names are decoded by the character set of the header
        image.add(copy.copy(element))
    for keyword in _MAY_BE_EMPTY:
        image.setdefault(keyword, None)
    if image.get("LossyImageCompression") == "01":
        for keyword in _LOSSY:
            image.setdefault(keyword, None)
    if image.PatientSex not in _SEXES:
        image.PatientSex = None
    # What is drawn fills the voxels of the grid, however thick the scanner's slices were.
    image.SliceThickness = image.SpacingBetweenSlices = DSfloat(grid.spacing[2], auto_format=True)
