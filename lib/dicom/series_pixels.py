"""Grey values of a series, as PS3.3 C.11.1 has them: the Modality LUT or the rescaling of each image applied.

Whether MONOCHROME1 shows high values dark is for displays (C.11.6), not for these.
"""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813
from pydicom import Dataset

from lib.errors import InputError

_GREY = ("", "MONOCHROME1", "MONOCHROME2")
_NATIVE = (
    pydicom.uid.ImplicitVRLittleEndian,
    pydicom.uid.ExplicitVRLittleEndian,
    pydicom.uid.ExplicitVRBigEndian,
)
_MOST_COMPRESSED = 2000
"""Voxels that a byte of a compressed image can hold; more is a damaged header."""


def shown(value: object) -> str:
    """Give a value of a header for a message: printable, and no longer than an UID, whatever damage made of it."""
    return "".join(character for character in str(value) if character.isprintable())[:64]


@dataclass(frozen=True, eq=False)
class Pixels:
    """What a decoder made of the files of a series.

    Attributes:
        array: float32, shape (columns, rows, slices).
        affine: shape (4, 4), to LPS millimetres, by the decoder's own reading of the headers.
    """

    array: np.ndarray
    affine: np.ndarray


@dataclass(frozen=True, eq=False)
class _Scale:
    """From stored values to grey values."""

    slope: float = 1.0
    intercept: float = 0.0
    table: np.ndarray | None = None
    first: int = 0

    def apply(self, stored: np.ndarray) -> np.ndarray:
        if self.table is None:
            return stored * self.slope + self.intercept
        places = np.rint(stored).astype(np.int64) - self.first
        # What lies beside the table has the value at its end.
        return self.table[np.clip(places, 0, len(self.table) - 1)]


def read_pixels(files: Sequence[Path], headers: Sequence[Dataset], *, where: str) -> Pixels:
    """Decode the images of a series, of any transfer syntax that GDCM decodes.

    Args:
        files: one a slice, in the order of the slices.
        headers: of these files.
        where: names the series in messages.

    Raises:
        InputError: the images hold colours, or more voxels than their files can hold, or cannot be decoded; or it
            cannot be told which grey values they mean.
    """
    scales = [_scale(header, where) for header in headers]
    _check_kinds(headers, where)
    _check_lengths(files, headers, where)
    if not any(scale.table is not None for scale in scales) and "MONOCHROME1" not in map(_interpretation, headers):
        return _decode(files, where)
    # The decoder turns MONOCHROME1 over and knows no tables, so it is given what is stored and no more.
    with tempfile.TemporaryDirectory(prefix="calibrated-ensemble-") as folder:
        pixels = _decode([_as_stored(file, Path(folder) / f"{number}.dcm") for number, file in enumerate(files)], where)
    for index, scale in enumerate(scales):
        pixels.array[:, :, index] = scale.apply(pixels.array[:, :, index])
    return pixels


def _decode(files: Sequence[Path], where: str) -> Pixels:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(file) for file in files])
    # Rescale slopes may differ between slices, so no slice may decide for the others how numbers are kept.
    reader.SetOutputPixelType(sitk.sitkFloat32)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        reason = " ".join(str(error).split("\n")[-2:]).strip()[-200:]
        raise InputError(f"{where}: its pixels cannot be decoded ({reason}); send the series again") from error
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(image.GetDirection()).reshape(3, 3) * np.asarray(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return Pixels(sitk.GetArrayFromImage(image).T, affine)


def _as_stored(file: Path, target: Path) -> Path:
    """Write an image without what changes its values."""
    image = pydicom.dcmread(file)
    image.PhotometricInterpretation = "MONOCHROME2"
    for keyword in ("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "RescaleType"):
        if keyword in image:
            del image[keyword]
    image.save_as(target)
    return target


def _scale(header: Dataset, where: str) -> _Scale:
    image = f"{where}: image {shown(header.get('SOPInstanceUID'))}"
    slope, intercept = (_number(header, keyword, image) for keyword in ("RescaleSlope", "RescaleIntercept"))
    tables = header.get("ModalityLUTSequence") or []
    if tables and (slope is not None or intercept is not None):
        raise InputError(f"{image} has a Modality LUT and a rescaling; send it with the one that counts")
    if len(tables) > 1:
        raise InputError(f"{image} has {len(tables)} Modality LUTs; send it with one")
    if tables:
        return _table(tables[0], header, image)
    if slope == 0:
        raise InputError(f"{image} has the RescaleSlope 0, which leaves one grey value; send it with its slope")
    return _Scale(1.0 if slope is None else slope, 0.0 if intercept is None else intercept)


def _table(item: Dataset, header: Dataset, image: str) -> _Scale:
    descriptor, data = item.get("LUTDescriptor"), item.get("LUTData")
    if data is None or isinstance(descriptor, int | None) or len(descriptor) != 3 or descriptor[2] not in (8, 16):
        raise InputError(f"{image} has a Modality LUT without a descriptor of 3 numbers; send it with its table")
    count, first = int(descriptor[0]) or 1 << 16, int(descriptor[1])
    if first >= 1 << 15 and header.get("PixelRepresentation") == 1:
        first -= 1 << 16  # as written by programs that take no notice of the sign
    if isinstance(data, bytes):
        order = "<" if getattr(item, "is_little_endian", True) is not False else ">"
        is_packed = descriptor[2] == 8 and len(data) < 2 * count
        data = np.frombuffer(data, np.uint8 if is_packed else f"{order}u2", count=-1)
    table = np.atleast_1d(np.asarray(data, dtype=np.float32))
    if len(table) < count:
        raise InputError(f"{image} has a Modality LUT of {len(table)} entries, not {count}; send it with all of them")
    return _Scale(table=table[:count], first=first)


def _number(header: Dataset, keyword: str, image: str) -> float | None:
    found = header.get(keyword)
    if found is None or found == "":
        return None
    try:
        number = float(found)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{image} has the {keyword} {shown(found)!r}; send it with one number")
    return number


def _check_kinds(headers: Sequence[Dataset], where: str) -> None:
    kinds = {_interpretation(header) for header in headers}
    if {int(header.get("SamplesPerPixel") or 1) for header in headers} != {1} or not kinds <= set(_GREY):
        raise InputError(f"{where}: holds colours; give a series with one grey value a pixel")
    units = sorted({str(header.get("RescaleType") or "") for header in headers} - {""})
    if len(units) > 1:
        raise InputError(f"{where}: has grey values in {' and '.join(map(shown, units))}; give a series with one unit")


def _interpretation(header: Dataset) -> str:
    return str(header.get("PhotometricInterpretation") or "").strip()


def _check_lengths(files: Sequence[Path], headers: Sequence[Dataset], where: str) -> None:
    """Refuse images whose files cannot hold them, before memory is taken for them."""
    for file, header in zip(files, headers, strict=True):
        voxels = int(header.Rows) * int(header.Columns)
        syntax = getattr(getattr(header, "file_meta", None), "TransferSyntaxUID", None)
        wanted = voxels * int(header.get("BitsAllocated") or 8) // 8 if syntax in _NATIVE else voxels / _MOST_COMPRESSED
        if wanted > file.stat().st_size:
            raise InputError(
                f"{where}: {file.name} has {file.stat().st_size} bytes, too few for {header.Columns} x {header.Rows} "
                "pixels; send the series again"
            )
