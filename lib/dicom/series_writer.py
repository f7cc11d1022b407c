"""A volume as a series of classic CT or MR images."""

import copy
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    PYDICOM_IMPLEMENTATION_UID,
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)
from pydicom.valuerep import DSfloat, format_number_as_ds

from lib.errors import InputError
from lib.images.volume import RAS_TO_LPS, Volume

# Writing twice must give the same files, so no clock is read.
_DATE = "20260101"
_TIME = "120000"

# The largest cosine between two axes: what the rounding of an affine leaves.
_SHEAR_TOLERANCE = 1e-4


def series_datasets(
    volume: Volume,
    *,
    modality: str,
    patient_id: str,
    patient_name: str = "",
    description: str = "",
    entropy: str,
    descending: bool = False,
) -> list[Dataset]:
    """Make the images of a series, ready for `save_as(..., write_like_original=False)`.

    Grey values that are whole and fit in 16 bits are kept as they are; others are rounded to one
    of 65,536 steps between the smallest and the largest.

    Args:
        volume: finite grey values, shape (columns, rows, slices), on a grid without shear, right-
            or left-handed.
        modality: "CT" or "MR".
        patient_id: PatientID; with `entropy` it decides the study.
        patient_name: PatientName.
        description: SeriesDescription.
        entropy: all UIDs follow from it; the same words give the same UIDs.
        descending: instance numbers fall along row direction x column direction instead of
            growing.

    Returns:
        One dataset for each slice, in the order of the array's third axis.

    Raises:
        InputError: the modality is unknown, a grey value is not finite, or the grid is sheared.
    """
    if modality not in _MODALITY_MODULES:
        raise InputError(f"modality {modality!r}: cannot be written; give {' or '.join(_MODALITY_MODULES)}")
    common = _common_attributes(modality, patient_id, patient_name, description, entropy)
    plane, is_along_normal = _plane_attributes(volume)
    stored = _stored_pixels(volume.array)
    common.update(plane)
    common.update(stored.attributes)
    lps = RAS_TO_LPS @ volume.affine
    count = volume.shape[2]
    datasets = []
    for index in range(count):
        dataset = copy.deepcopy(common)
        dataset.SOPInstanceUID = _uid(entropy, patient_id, f"instance {index}")
        dataset.InstanceNumber = index + 1 if is_along_normal != descending else count - index
        dataset.ImagePositionPatient = _decimals(lps[:3] @ (0, 0, index, 1))
        dataset.PixelData = stored.pixels[:, :, index].T.tobytes()
        dataset.file_meta = _file_meta(dataset)
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
        datasets.append(dataset)
    return datasets


def _common_attributes(modality: str, patient_id: str, patient_name: str, description: str, entropy: str) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.Modality = modality
    dataset.PatientID = patient_id
    dataset.PatientName = patient_name
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    dataset.StudyInstanceUID = _uid(entropy, patient_id, "study")
    dataset.SeriesInstanceUID = _uid(entropy, patient_id, "series")
    dataset.FrameOfReferenceUID = _uid(entropy, patient_id, "frame of reference")
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = _DATE
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = _TIME
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = description
    dataset.AcquisitionNumber = 1
    dataset.PatientPosition = "HFS"
    dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer = ""
    dataset.update(_MODALITY_MODULES[modality]())
    return dataset


def _ct_module() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.RescaleType = "HU"
    dataset.KVP = None
    return dataset


def _mr_module() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = MRImageStorage
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    dataset.ScanningSequence = "RM"
    dataset.SequenceVariant = "NONE"
    dataset.ScanOptions = ""
    dataset.MRAcquisitionType = ""
    dataset.EchoTime = None
    dataset.RepetitionTime = None
    dataset.EchoTrainLength = None
    return dataset


_MODALITY_MODULES = {"CT": _ct_module, "MR": _mr_module}


def _plane_attributes(volume: Volume) -> tuple[Dataset, bool]:
    """What all slices have in common of their place, and whether slices follow each other along the normal."""
    row, column, through = (RAS_TO_LPS @ volume.affine)[:3, :3].T / np.array(volume.spacing)[:, None]
    normal = np.cross(row, column)
    shear = max(abs(row @ column), abs(row @ through), abs(column @ through))
    if not shear < _SHEAR_TOLERANCE:
        raise InputError(
            f"affine {volume.affine[:3].tolist()}: is sheared, the cosine between two axes is {shear:.3g}; "
            "resample the scan to a grid with right angles"
        )
    dataset = Dataset()
    dataset.ImageOrientationPatient = _decimals([*row, *column])
    across, down, between = volume.spacing
    dataset.PixelSpacing = _decimals([down, across])
    dataset.SliceThickness = dataset.SpacingBetweenSlices = _decimals([between])[0]
    dataset.Columns, dataset.Rows = volume.shape[:2]
    return dataset, bool(normal @ through > 0)


@dataclass(frozen=True)
class _StoredPixels:
    pixels: np.ndarray
    attributes: Dataset


def _stored_pixels(array: np.ndarray) -> _StoredPixels:
    """Grey values as 16-bit numbers, shape kept, and the attributes that give them their meaning."""
    low, high = (float(value) for value in (array.min(), array.max()))
    if not np.isfinite([low, high]).all():
        raise InputError("grey values: some are NaN or infinite; give finite ones")
    is_whole = array.dtype.kind in "biu" or bool((array == np.floor(array)).all())
    kind = next((kind for kind in (np.uint16, np.int16) if _fits(low, high, kind)), None) if is_whole else None
    dataset = Dataset()
    if kind is not None:
        dataset.RescaleSlope, dataset.RescaleIntercept = _decimals([1.0, 0.0])
        pixels = array.astype(kind)
    else:
        kind = np.uint16
        # Sixteen characters of text are less than a float holds, so round as a reader will see them.
        slope, intercept = _decimals([(high - low) / 65535 or 1.0, low])
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
        pixels = np.clip(np.rint((array.astype(np.float64) - intercept) / slope), 0, 65535).astype(kind)
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = int(kind is np.int16)
    dataset.update(_window(array))
    return _StoredPixels(pixels, dataset)


def _fits(low: float, high: float, kind: type[np.integer]) -> bool:
    return bool(np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)


def _window(array: np.ndarray) -> Dataset:
    """The window that a viewer shows first: all but the extremes."""
    low, high = np.percentile(array, (0.5, 99.5))
    dataset = Dataset()
    if high - low >= 1:  # DICOM knows no narrower window
        dataset.WindowCenter, dataset.WindowWidth = _decimals([(low + high) / 2, high - low])
    return dataset


def _file_meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    return meta


def _uid(*words: str) -> UID:
    return generate_uid(entropy_srcs=["\n".join(words)])


def _decimals(values: np.ndarray | list[float]) -> list[DSfloat]:
    """Numbers as DICOM writes them: the closest with at most 16 characters."""
    return [DSfloat(format_number_as_ds(float(value))) for value in values]
