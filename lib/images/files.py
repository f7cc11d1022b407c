"""Files of scans and labels, NIfTI and NRRD, in and out."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import nibabel as nib
import nrrd
import numpy as np

from lib.errors import InputError
from lib.images.volume import RAS_TO_LPS, Volume, check_label_values, check_same_grid
from lib.storage.atomic import atomic_path
from lib.storage.file_names import composed

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


def scan_name(path: Path | str) -> str:
    """Name of a scan: its file name without the image suffix, in the one spelling of `file_names.composed`."""
    name = Path(path).name
    return composed(name[: len(name) - len(image_suffix(path))])


def image_suffix(path: Path | str) -> str:
    """What makes a file an image, as it is written; "" where it is none."""
    name = Path(path).name
    return next((name[-len(suffix) :] for suffix in SUFFIXES if name.lower().endswith(suffix)), "")


def read_scan(path: Path | str) -> Volume:
    """Read a scan as float32.

    Raises:
        InputError: the file is missing, truncated or of an unknown format, is not
            three-dimensional, holds NaN or infinite values, or has a degenerate affine.
    """
    volume = _read(path)
    with np.errstate(over="ignore"):  # what is too large becomes infinite and is refused
        array = volume.array.astype(np.float32)
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise InputError(f"{path}: holds {count} NaN or infinite voxels; export the scan again with finite grey values")
    return Volume(array, volume.affine)


def read_label(path: Path | str, *, values: Collection[int], scan: Volume | None = None) -> Volume:
    """Read a label as uint8.

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
    return Volume(volume.array.astype(np.uint8), volume.affine)


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
            nib.save(_nifti_image(volume), temporary)


def _read(path: Path | str) -> Volume:
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        array, affine = _decode_nrrd(path) if path.name.lower().endswith(".nrrd") else _decode_nifti(path)
    except InputError:
        raise
    except Exception as error:  # readers raise whatever their decoders raise
        reason = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"{path}: cannot be read as an image ({reason[0]}); "
            "it may be truncated, or no NIfTI or NRRD file: copy it again"
        ) from error
    if array.dtype.kind not in "biuf":
        raise InputError(f"{path}: holds {array.dtype} voxels; export it again with one real number per voxel")
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim != 3:
        raise InputError(f"{path}: has {array.ndim} dimensions, shape {array.shape}; give one 3-D volume per file")
    if array.size == 0 or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InputError(f"{path}: has shape {array.shape} and a degenerate affine; export it again with its geometry")
    return Volume(array, affine)


def _decode_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    suffix = image_suffix(path)
    # Of a suffix in mixed case, nibabel would look for a file in lower case.
    is_of_one_case = suffix in (suffix.lower(), suffix.upper())
    holder = nib.FileHolder(filename=str(path))
    image = nib.load(path) if is_of_one_case else nib.Nifti1Image.from_file_map({"image": holder})
    return np.asanyarray(image.dataobj), _nifti_affine(image)


def _nifti_affine(image: nib.Nifti1Image) -> np.ndarray:
    """The affine of an image, float64 (4, 4): MONAI's, so that scans lie where they lay when models were trained.

    That is the sform, and else the qform, as NIfTI has it. An sform whose spacing contradicts the header's
    voxel sizes gives way to the qform, which is made of them.
    """
    sizes = image.header.get_zooms()
    if image.ndim == 3 and image.header["sform_code"] != 0 and not _has_spacing(image.affine, sizes):
        qform = image.get_qform()
        if _has_spacing(qform, sizes):
            image.set_sform(qform)
    return np.asarray(image.affine, dtype=np.float64)


def _has_spacing(affine: np.ndarray, sizes: tuple[float, ...]) -> bool:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return np.allclose(sizes, np.where(spacing > 0, spacing, 1))


def _nifti_image(volume: Volume) -> nib.Nifti1Image:
    array = np.moveaxis(volume.array, 0, -1) if volume.array.ndim == 4 else volume.array
    image = nib.Nifti1Image(array, volume.affine)
    image.header.set_xyzt_units("mm")
    return image


def _decode_nrrd(path: Path) -> tuple[np.ndarray, np.ndarray]:
    array, header = nrrd.read(str(path))
    if array.ndim != 3:
        return array, np.eye(4)
    space = header.get("space", _LPS)
    if space.lower() not in _NRRD_SPACES or "space directions" not in header:
        raise InputError(
            f"{path}: has the space {space!r} and "
            f"{'some' if 'space directions' in header else 'no'} space directions; "
            f"export it again with its geometry, such as space: {_LPS}"
        )
    affine = np.eye(4)
    affine[:3, :3] = np.transpose(header["space directions"])
    affine[:3, 3] = header["space origin"]
    return array, _NRRD_SPACES[space.lower()] @ affine


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
