"""Files of scans and labels, NIfTI and NRRD, in and out."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np

from lib.errors import InputError
from lib.images.nifti import nifti_grid, nifti_image, read_nifti
from lib.images.nrrd_geometry import nrrd_fields, nrrd_grid
from lib.images.nrrd_reading import nrrd_header, read_nrrd, segment_names
from lib.images.volume import Grid, Gridded, Volume, check_label_values, check_same_grid
from lib.storage.atomic import atomic_path
from lib.storage.file_names import composed
from lib.task.class_names import named_values, replace_values

SUFFIXES = (".nii.gz", ".nii", ".nrrd")
"""File formats that are read; `scan_name` takes them off a file name."""


def scan_name(path: Path | str) -> str:
    """Name of a scan: its file name without the image suffix, in the one spelling of `file_names.composed`."""
    name = Path(path).name
    return composed(name[: len(name) - len(image_suffix(path))])


def image_suffix(path: Path | str) -> str:
    """What makes a file an image, as it is written; "" where it is none."""
    name = Path(path).name
    return next((name[-len(suffix) :] for suffix in SUFFIXES if name.lower().endswith(suffix)), "")


def read_scan(path: Path | str, *, grid: Gridded | None = None) -> Volume:
    """Read a scan as float32.

    Args:
        path: of the file.
        grid: when given, a file of another shape is refused before its voxels are read.

    Raises:
        InputError: the file is missing, truncated or of an unknown format, is not
            three-dimensional, holds NaN or infinite values, or does not say where it lies: see
            `lib.images.nifti_forms` and `lib.images.plausible_grid`.
    """
    volume = _read(path, grid)
    with np.errstate(over="ignore"):  # what is too large becomes infinite and is refused
        array = volume.array.astype(np.float32)
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise InputError(f"{path}: holds {count} NaN or infinite voxels; export the scan again with finite grey values")
    return replace(volume, array=array)


def read_label(path: Path | str, *, values: Collection[int] | Mapping[str, int], scan: Gridded | None = None) -> Volume:
    """Read a label as uint8; values within a thousandth of whole numbers are those, as scaling leaves them.

    Args:
        path: label file.
        values: the foreground values that the task knows, or its classes, name to value; 0 is background and
            always known. Where the file names its segments, as 3D Slicer's NRRD does, and the classes are given,
            the names count and the numbers do not.
        scan: when given, the label must lie on its grid; the shape is compared before voxels are read.

    Returns:
        A label with the task's values.

    Raises:
        InputError: as `read_scan`, and when the label holds a value that is not whole or not
            known, a segment that is no class, or lies on another grid than `scan`.
    """
    labels: Mapping[str, int] = values if isinstance(values, Mapping) else {}
    numbers: Collection[int] = values.values() if isinstance(values, Mapping) else values
    names = names_inside(path) if labels else {}
    volume = _read(path, scan)
    check_label_values(volume.array, values=range(1, 256) if names else numbers, where=str(path))
    if scan is not None:
        check_same_grid(volume, scan, where=str(path))
    array = np.rint(volume.array).astype(np.uint8)
    if names:
        present = np.flatnonzero(np.bincount(array.ravel(), minlength=256)[1:]) + 1
        array = replace_values(array, named_values(names, present=present.tolist(), labels=labels, where=str(path)))
    return replace(volume, array=array)


def names_inside(path: Path | str) -> dict[int, str]:
    """Names that a label's file gives to its values, as 3D Slicer's NRRD does; empty where it names none.

    Raises:
        InputError: the file is missing or cannot be read, or its names contradict each other.
    """
    path = Path(path)
    with _readable(path):
        return segment_names(nrrd_header(path), where=str(path)) if _is_nrrd(path) else {}


def read_grid(path: Path | str) -> Grid:
    """Read where the voxels of a scan lie, without the voxels.

    Raises:
        InputError: the file is missing or of an unknown format, is not three-dimensional, or has a degenerate affine.
    """
    path = Path(path)
    with _readable(path):
        return nrrd_grid(path, nrrd_header(path)) if _is_nrrd(path) else nifti_grid(path)


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
            nrrd.write(str(temporary), volume.array, nrrd_fields(volume, compress=compress))
        else:
            nib.save(nifti_image(volume), temporary)


def _is_nrrd(path: Path | str) -> bool:
    return str(path).lower().endswith(".nrrd")


def _read(path: Path | str, grid: Gridded | None = None) -> Volume:
    """Read a file; what does not have the shape of the grid is refused before its voxels are read."""
    path = Path(path)
    with _readable(path):
        volume = _read_nrrd(path, grid) if _is_nrrd(path) else read_nifti(path, grid)
    if volume.array.dtype.kind not in "biuf":
        raise InputError(f"{path}: holds {volume.array.dtype} voxels; export it again with one real number per voxel")
    return volume


def _read_nrrd(path: Path, grid: Gridded | None) -> Volume:
    # The header first, so that voxels of a grid that cannot be used are never unpacked.
    lies = nrrd_grid(path, nrrd_header(path))
    array, _ = read_nrrd(path, grid)
    return Volume(array.reshape(lies.shape, order="F"), lies.affine)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say what is wrong with a file that its decoder cannot read."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # readers raise whatever their decoders raise
        reason = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"{path}: cannot be read as an image ({reason[0][:200]}); "
            "it may be truncated, or no NIfTI or NRRD file: copy it again"
        ) from error
