"""Scans with damage that follows from a seed: in headers and in bodies, of every format that is read."""

import gzip
import io
import struct
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from lib.dicom.series_writer import series_datasets
from lib.images.volume import Volume

SHAPE = (11, 10, 9)
_AFFINE = np.array([[-3.0, 0, 0, 14], [0, -3.0, 0, 13], [0, 0, 3.0, -12], [0, 0, 0, 1]])

# Offset and type of each field of a NIfTI-1 header that has a meaning for a scan.
_NIFTI_FIELDS = {
    **{f"dim[{n}]": (40 + 2 * n, "h") for n in range(8)},
    **{f"pixdim[{n}]": (76 + 4 * n, "f") for n in range(8)},
    **{f"quatern{n}": (256 + 4 * n, "f") for n in range(6)},
    **{f"srow{n}": (280 + 4 * n, "f") for n in range(12)},
    **{"sizeof_hdr": (0, "i"), "datatype": (70, "h"), "bitpix": (72, "h"), "vox_offset": (108, "f")},
    **{"scl_slope": (112, "f"), "scl_inter": (116, "f"), "xyzt_units": (123, "b"), "intent_code": (68, "h")},
    **{"qform_code": (252, "h"), "sform_code": (254, "h"), "magic": (344, "i"), "extension": (348, "i")},
}
_FLOATS = [0.0, -1.0, 1.0, 1e-30, 1e30, 3e38, float("nan"), float("inf"), -float("inf"), 1e3, 1e-3, 0.5, -0.0]
_WHOLE = [0, 1, -1, 2, 3, 4, 7, 8, 16, 64, 127, 128, 255, 256, 348, 512, 540, 1000, 1792, 2304, 30000, 32767, -32768]

_NRRD_VALUES = {
    "type": ["float", "double", "block", "int8", "uchar", "longlong", "complex", "", "unsigned   short"],
    "dimension": ["0", "1", "2", "4", "16", "17", "-3", "1e3", "three", ""],
    "space": ["right-anterior-superior", "LPS", "scanner-xyz", "left-posterior-superior-time", "", "2D"],
    "space dimension": ["2", "3", "4", "0"],
    "sizes": ["11 10 9 1", "11 10", "30000 30000 30000", "0 10 9", "-11 10 9", "11 10 1e9", "1 11 10 9", "x y z", ""],
    "space directions": [
        "(0,0,0) (0,1,0) (0,0,1)",
        "(nan,0,0) (0,3,0) (0,0,3)",
        "none (0,3,0) (0,0,3)",
        "(3,0,0) (0,3,0)",
        "(3,0) (0,3) (0,3)",
        "(1e30,0,0) (0,3,0) (0,0,3)",
        "(3,0,0) (3,0,0) (0,0,3)",
        "(a,b,c) (0,3,0) (0,0,3)",
        "(3,0,0)(0,3,0)(0,0,3)",
    ],
    "space origin": ["(0,0)", "(nan,0,0)", "(1e300,0,0)", "none", "(0,0,0,0)", "0 0 0"],
    "kinds": ["domain domain", "list domain domain", "vector domain domain domain"],
    "encoding": ["raw", "gzip", "bzip2", "ascii", "hex", "zip", "", "gz"],
    "endian": ["big", "little", "middle"],
    "space units": ['"um" "um" "um"', '"mm" "mm"', '"furlong" "mm" "mm"', "mm mm mm"],
    "data file": ["/etc/passwd", "LIST", "scan.raw", "x%03d.raw 1 9 1"],
    "byte skip": ["-1", "-2", "1000000000000", "x", "3"],
    "line skip": ["1", "-1", "100000000"],
}

_DICOM_VALUES = [
    *(b"", b"0 ", b"-1", b"1 ", b"nan ", b"1e400 ", b"1,5 ", b"abc ", b"\\\\", b"1\\2\\3 ", b"\0\0", b"\xff\xff"),
    *(b"\0\0\0\0", b"65535 ", b"0\\0\\0\\0\\0\\0 ", b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.1.99", b"X" * 70),
    *(b"1e-30\\1e-30 ", b"1e30\\1e30 ", b"MONOCHROME1 ", b"RGB ", b"PALETTE COLOR ", b"ISO 2022 IR 87", b"ISO_IR 999"),
]
_DICOM_KEYWORDS = (
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel"),
    *("PhotometricInterpretation", "RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence"),
    *("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness", "SpacingBetweenSlices"),
    *("SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "FrameOfReferenceUID", "StudyInstanceUID", "Modality"),
    *("NumberOfFrames", "PatientName", "PatientBirthDate", "SpecificCharacterSet", "PixelData", "PixelAspectRatio"),
    *("SharedFunctionalGroupsSequence", "PlanarConfiguration", "SmallestImagePixelValue", "PixelPaddingValue"),
)


def damaged_scan(seed: int, folder: Path) -> Path:
    """Write the scan of a seed: a file, or a folder with a DICOM series, of which some are whole by chance."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    make = (_nifti, _nifti, _nrrd, _series)[seed % 4]
    return make(rng, folder, f"scan{seed}")


def whole_scan(folder: Path) -> Path:
    """Write the scan that the others are made of."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "whole.nii.gz"
    nib.save(nib.Nifti1Image(_grey(np.random.default_rng(0)), _AFFINE), path)
    return path


def _grey(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(0, 50, SHAPE).astype(np.int16)


def _one(rng: np.random.Generator, values: list[object] | tuple[object, ...]) -> object:
    return values[int(rng.integers(len(values)))]


def _flipped(rng: np.random.Generator, content: bytes, first: int, last: int) -> bytes:
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        changed[int(rng.integers(first, max(first + 1, min(last, len(changed)))))] = int(rng.integers(256))
    return bytes(changed)


def _cut(rng: np.random.Generator, content: bytes) -> bytes:
    return content[: int(rng.integers(len(content)))]


def _nifti(rng: np.random.Generator, folder: Path, name: str) -> Path:
    image = nib.Nifti1Image(_grey(rng), _AFFINE)
    image.header.set_xyzt_units("mm")
    image.set_qform(_AFFINE, 1)
    content = image.to_bytes()
    damage = int(rng.integers(6))
    if damage <= 1:
        changed = bytearray(content)
        for _ in range(int(rng.integers(1, 4))):
            offset, kind = _NIFTI_FIELDS[str(_one(rng, tuple(_NIFTI_FIELDS)))]
            value = _one(rng, _FLOATS if kind == "f" else _WHOLE)
            packed = struct.pack("<d" if kind == "f" else "<q", value)
            size = struct.calcsize(kind)
            changed[offset : offset + size] = struct.pack("<f", value) if kind == "f" else packed[:size]
        content = bytes(changed)
    elif damage == 2:
        content = _flipped(rng, content, 0, 352)
    elif damage == 3:
        content = _cut(rng, content)
    elif damage == 4:
        content = _flipped(rng, content, 352, len(content))
    is_packed = bool(rng.integers(2))
    if is_packed:
        content = gzip.compress(content, mtime=0)
        if damage == 5:
            content = _flipped(rng, content, 0, len(content)) if rng.integers(2) else _cut(rng, content)
    suffix = ".nii.gz" if is_packed != (rng.integers(20) == 0) else ".nii"
    path = folder / f"{name}{suffix}"
    path.write_bytes(content)
    return path


def _nrrd(rng: np.random.Generator, folder: Path, name: str) -> Path:
    stream = io.BytesIO()
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ _AFFINE
    fields = {"space": "left-posterior-superior", "space directions": lps[:3, :3].T, "space origin": lps[:3, 3]}
    nrrd.write(stream, _grey(rng), {**fields, "encoding": str(_one(rng, ("raw", "gzip", "bzip2")))})
    header, body = stream.getvalue().split(b"\n\n", 1)
    damage = int(rng.integers(5))
    if damage <= 2:
        lines = header.decode().splitlines()
        for _ in range(int(rng.integers(1, 3))):
            field = str(_one(rng, tuple(_NRRD_VALUES)))
            kept = [line for line in lines if not line.startswith(f"{field}:")]
            lines = kept if rng.integers(6) == 0 else [*kept, f"{field}: {_one(rng, _NRRD_VALUES[field])}"]
        header = "\n".join(lines).encode()
    elif damage == 3:
        header = _flipped(rng, header, 0, len(header))
    else:
        body = _flipped(rng, body, 0, len(body)) if rng.integers(2) else _cut(rng, body)
    path = folder / f"{name}.nrrd"
    path.write_bytes(header + b"\n\n" + body)
    return path


def _series(rng: np.random.Generator, folder: Path, name: str) -> Path:
    target = folder / name
    target.mkdir()
    headers = series_datasets(
        Volume(_grey(rng).astype(np.float32), _AFFINE), modality="CT", patient_id="p", entropy=name
    )
    damage = int(rng.integers(4))
    is_everywhere = bool(rng.integers(2))
    chosen = set(range(len(headers))) if is_everywhere else {int(rng.integers(len(headers)))}
    if damage <= 1:
        keyword, value = str(_one(rng, _DICOM_KEYWORDS)), bytes(_one(rng, _DICOM_VALUES))  # type: ignore[arg-type]
        is_removed = rng.integers(4) == 0
        for number in chosen:
            _damage_header(headers[number], keyword, None if is_removed else value)
    for number, header in enumerate(headers):
        content = _content(header)
        if number in chosen and damage == 2:
            content = _flipped(rng, content, 0, len(content))
        elif number in chosen and damage == 3:
            content = _cut(rng, content)
        (target / f"{number:03d}.dcm").write_bytes(content)
    return target


def _content(header: Dataset) -> bytes:
    stream = io.BytesIO()
    try:
        header.save_as(stream, write_like_original=False)
    except (AttributeError, TypeError):  # where pydicom needs a value that is a list now, or gone
        return b""
    return stream.getvalue()


def _damage_header(header: Dataset, keyword: str, value: bytes | None) -> None:
    if value is None:
        header.pop(Tag(keyword), None)
        return
    vr = header[keyword].VR if keyword in header else "LO"
    # As it would be in a file: pydicom itself refuses to set some of these.
    header[Tag(keyword)] = RawDataElement(Tag(keyword), vr, len(value), value, 0, False, True)
