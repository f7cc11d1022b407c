"""Scans and labels as arrays with a place in the world."""

from collections.abc import Collection
from pathlib import Path

import nibabel as nib
import numpy as np
from monai.data import NibabelReader, NrrdReader

from lib.errors import InputError
from lib.images.volume import Volume, check_label_values, check_same_grid
from lib.storage.atomic import atomic_path

SUFFIXES = (".nii.gz", ".nii", ".nrrd")
"""File formats that are read; `scan_name` takes them off a file name."""

# Signs that take the first two axes of an anatomical space to RAS; MONAI's reader knows only the last name.
_NRRD_SPACES = {
    "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "las": (-1, 1, 1),
    "lps": (-1, -1, 1),
    "left-posterior-superior": (-1, -1, 1),
}


def scan_name(path: Path) -> str:
    """Name of a scan: its file name without the image suffix."""
    name = Path(path).name
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def read_scan(path: Path) -> Volume:
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


def read_label(path: Path, *, values: Collection[int], scan: Volume | None = None) -> Volume:
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


def write_volume(path: Path, volume: Volume) -> None:
    """Write a NIfTI file, whole or not at all.

    An array of shape (x, y, z) becomes a three-dimensional image, (channels, x, y, z) a
    four-dimensional one with the channels last, as viewers expect.

    Raises:
        InputError: the file cannot be written.
    """
    array = np.moveaxis(volume.array, 0, -1) if volume.array.ndim == 4 else volume.array
    image = nib.Nifti1Image(array, volume.affine)
    image.header.set_xyzt_units("mm")
    with atomic_path(path) as temporary:
        nib.save(image, temporary)


def _read(path: Path) -> Volume:
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
    reader = NibabelReader()
    array, meta = reader.get_data(reader.read(str(path)))
    return array, np.asarray(meta["affine"], dtype=np.float64)


def _decode_nrrd(path: Path) -> tuple[np.ndarray, np.ndarray]:
    reader = NrrdReader(affine_lps_to_ras=False)
    image = reader.read(str(path))
    if image.array.ndim != 3:
        return image.array, np.eye(4)
    space = image.header.get("space", "left-posterior-superior")
    if space.lower() not in _NRRD_SPACES or "space directions" not in image.header:
        raise InputError(
            f"{path}: has the space {space!r} and "
            f"{'some' if 'space directions' in image.header else 'no'} space directions; "
            "export it again with its geometry, such as space: left-posterior-superior"
        )
    array, meta = reader.get_data(image)
    affine = np.asarray(meta["affine"], dtype=np.float64)
    affine[:3] *= np.array(_NRRD_SPACES[space.lower()])[:, None]
    return array, affine
