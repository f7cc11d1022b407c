"""Files of scans and labels, NIfTI and NRRD, in and out."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import nrrd
import numpy as np

from lib.errors import InputError
from lib.images.nifti import decode_nifti, nifti_image
from lib.images.plausible_grid import check_grid, spatial_shape
from lib.images.volume import RAS_TO_LPS, Volume, check_label_values, check_same_grid
from lib.storage.atomic import atomic_path

SUFFIXES = (".nii.gz", ".nii", ".nrrd")
"""File formats that are read; `scan_name` takes them off a file name."""

_LPS = "left-posterior-superior"

# From an anatomical space of NRRD to RAS.
_NRRD_SPACES = {
    "right-anterior-superior": np.eye(4),
    "ras": np.eye(4),
    "left-anterior-superior": np.diag([-1.0, 1.0, 1.0, 1.0]),
    "las": np.diag([-1.0, 1.0, 1.0, 1.0]),
    _LPS: RAS_TO_LPS,
    "lps": RAS_TO_LPS,
}

# Names that programs write for units of space, to millimetres.
_NRRD_UNITS = {
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres", ""), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 10.0),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1000.0),
    **dict.fromkeys(("um", "\N{MICRO SIGN}m", "\N{GREEK SMALL LETTER MU}m", "micron", "microns"), 0.001),
    **dict.fromkeys(("micrometer", "micrometers", "micrometre", "micrometres"), 0.001),
}


def scan_name(path: Path | str) -> str:
    """Name of a scan: its file name without the image suffix."""
    name = Path(path).name
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def read_scan(path: Path | str) -> Volume:
    """Read a scan as float32.

    Raises:
        InputError: the file is missing, truncated or of an unknown format, is not
            three-dimensional, holds NaN or infinite values, or does not say where it lies: see
            `lib.images.nifti_forms` and `lib.images.plausible_grid`.
    """
    volume = _read(path)
    with np.errstate(over="ignore"):  # what is too large becomes infinite and is refused
        array = volume.array.astype(np.float32)
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise InputError(f"{path}: holds {count} NaN or infinite voxels; export the scan again with finite grey values")
    return replace(volume, array=array)


def read_label(path: Path | str, *, values: Collection[int], scan: Volume | None = None) -> Volume:
    """Read a label as uint8; values within a thousandth of whole numbers are those, as scaling leaves them.

    Args:
        path: label file.
        values: the foreground values that the task knows; 0 is background and always known.
        scan: when given, the label must lie on its grid.

    Raises:
        InputError: as `read_scan`, and when the label holds a value that is not whole or not
            known, or lies on another grid than `scan`.
    """
    volume = _read(path)
    check_label_values(volume.array, values=values, where=str(path))
    if scan is not None:
        check_same_grid(volume, scan, where=str(path))
    return replace(volume, array=np.rint(volume.array).astype(np.uint8))


def write_volume(path: Path | str, volume: Volume, *, compress: bool = True) -> None:
    """Write a NIfTI or, where the path ends in `.nrrd`, an NRRD file, whole or not at all.

    An array of shape (x, y, z) becomes a three-dimensional image, (channels, x, y, z) a four-dimensional one, as
    viewers expect it: with the channels last in NIfTI, first in NRRD.

    Args:
        path: of the file; its folder is made when missing.
        volume: what is written.
        compress: for NRRD, which some readers cannot unpack; NIfTI is compressed where the path ends in `.gz`.

    Raises:
        StorageError: the file cannot be written.
    """
    with atomic_path(Path(path)) as temporary:
        if temporary.suffix.lower() == ".nrrd":
            nrrd.write(str(temporary), volume.array, _nrrd_header(volume, compress=compress))
        else:
            nib.save(nifti_image(volume), temporary)


def _read(path: Path | str) -> Volume:
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        volume = _decode_nrrd(path) if path.name.lower().endswith(".nrrd") else decode_nifti(path)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # readers raise whatever their decoders raise
        reason = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"{path}: cannot be read as an image ({reason[0]}); "
            "it may be truncated, or no NIfTI or NRRD file: copy it again"
        ) from error
    if volume.array.dtype.kind not in "biuf":
        raise InputError(f"{path}: holds {volume.array.dtype} voxels; export it again with one real number per voxel")
    return volume


def _decode_nrrd(path: Path) -> Volume:
    # The header first, so that voxels of a grid that cannot be used are never unpacked.
    header = nrrd.read_header(str(path))
    shape = spatial_shape(tuple(header["sizes"]), where=str(path))
    affine = _nrrd_affine(path, header)
    check_grid(affine, shape, where=str(path))
    return Volume(nrrd.read(str(path))[0].reshape(shape, order="F"), affine)


def _nrrd_affine(path: Path, header: Mapping[str, Any]) -> np.ndarray:
    """Where the voxels of an NRRD file lie, (4, 4) to RAS millimetres."""
    space = header.get("space", _LPS)
    directions = np.asarray(header.get("space directions", []), dtype=np.float64)[:3]
    if space.lower() not in _NRRD_SPACES or directions.shape != (3, 3) or "space origin" not in header:
        raise InputError(
            f"{path}: has the space {space!r} and "
            f"{'some' if 'space directions' in header else 'no'} space directions; "
            f"export it again with its geometry, such as space: {_LPS}"
        )
    units = set(header.get("space units", ["mm"]))
    if len(units) > 1 or not units <= set(_NRRD_UNITS):
        raise InputError(f"{path}: has the space units {', '.join(sorted(units))}; give mm along every axis")
    affine = np.eye(4)
    affine[:3, :3] = directions.T
    affine[:3, 3] = header["space origin"]
    return np.diag([*[_NRRD_UNITS[units.pop()]] * 3, 1.0]) @ _NRRD_SPACES[space.lower()] @ affine


def _nrrd_header(volume: Volume, *, compress: bool) -> dict[str, Any]:
    lps = RAS_TO_LPS @ volume.affine
    directions, kinds = lps[:3, :3].T, ["domain"] * 3
    if volume.array.ndim == 4:
        directions, kinds = np.vstack([np.full(3, np.nan), directions]), ["list", *kinds]
    return {
        "space": _LPS,
        "space directions": directions,
        "space origin": lps[:3, 3],
        "kinds": kinds,
        "encoding": "gzip" if compress else "raw",
    }
