"""Files of scans and labels, NIfTI and NRRD, in and out."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import nrrd
import numpy as np

from lib.errors import InputError
from lib.images.nrrd_reading import nrrd_header, read_nrrd, segment_names
from lib.images.reading_limits import check_nifti
from lib.images.volume import RAS_TO_LPS, Grid, Gridded, Volume, check_label_values, check_same_grid
from lib.storage.atomic import atomic_path
from lib.task.class_names import named_values, replace_values

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
    """Name of a scan: its file name without the image suffix."""
    name = Path(path).name
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def read_scan(path: Path | str, *, grid: Gridded | None = None) -> Volume:
    """Read a scan as float32.

    Args:
        path: of the file.
        grid: when given, a file of another shape is refused before its voxels are read.

    Raises:
        InputError: the file is missing, truncated or of an unknown format, is not
            three-dimensional, holds NaN or infinite values, or has a degenerate affine.
    """
    volume = _read(path, grid)
    with np.errstate(over="ignore"):  # what is too large becomes infinite and is refused
        array = volume.array.astype(np.float32)
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise InputError(f"{path}: holds {count} NaN or infinite voxels; export the scan again with finite grey values")
    return Volume(array, volume.affine)


def read_label(
    path: Path | str, *, values: Collection[int] | Mapping[str, int], scan: Gridded | None = None
) -> Volume:
    """Read a label as uint8.

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
    labels = values if isinstance(values, Mapping) else {}
    names = names_inside(path) if labels else {}
    volume = _read(path, scan)
    known = range(1, 256) if names else labels.values() if labels else values
    check_label_values(volume.array, values=known, where=str(path))
    if scan is not None:
        check_same_grid(volume, scan, where=str(path))
    array = volume.array.astype(np.uint8)
    if names:
        present = np.flatnonzero(np.bincount(array.ravel(), minlength=256)[1:]) + 1
        array = replace_values(array, named_values(names, present=present.tolist(), labels=labels, where=str(path)))
    return Volume(array, volume.affine)


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
        if _is_nrrd(path):
            header = nrrd_header(path)
            shape, affine = tuple(int(size) for size in header["sizes"]), _nrrd_affine(path, header)
        else:
            image = _load_nifti(path, None)
            shape, affine = image.shape, _nifti_affine(image)
    return Grid(_checked_shape(path, shape, affine), affine)


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


def _is_nrrd(path: Path | str) -> bool:
    return str(path).lower().endswith(".nrrd")


def _read(path: Path | str, grid: Gridded | None = None) -> Volume:
    """Read a file; what does not have the shape of the grid is refused before its voxels are read."""
    path = Path(path)
    with _readable(path):
        array, affine = _decode_nrrd(path, grid) if _is_nrrd(path) else _decode_nifti(path, grid)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{path}: holds {array.dtype} voxels; export it again with one real number per voxel")
    return Volume(array.reshape(_checked_shape(path, array.shape, affine)), affine)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say what is wrong with a file that its decoder cannot read."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # readers raise whatever their decoders raise
        reason = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"{path}: cannot be read as an image ({reason[0]}); "
            "it may be truncated, or no NIfTI or NRRD file: copy it again"
        ) from error


def _checked_shape(path: Path, shape: tuple[int, ...], affine: np.ndarray) -> tuple[int, int, int]:
    """Shape without axes of one voxel at its end."""
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3:
        raise InputError(f"{path}: has {len(shape)} dimensions, shape {shape}; give one 3-D volume per file")
    if 0 in shape or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InputError(f"{path}: has shape {shape} and a degenerate affine; export it again with its geometry")
    x, y, z = shape
    return x, y, z


def _decode_nifti(path: Path, grid: Gridded | None) -> tuple[np.ndarray, np.ndarray]:
    image = _load_nifti(path, grid)
    return np.asanyarray(image.dataobj), _nifti_affine(image)


def _load_nifti(path: Path, grid: Gridded | None) -> nib.Nifti1Image:
    check_nifti(path, grid)
    suffix = path.name.removeprefix(scan_name(path))
    # Of a suffix in mixed case, nibabel would look for a file in lower case.
    is_of_one_case = suffix in (suffix.lower(), suffix.upper())
    holder = nib.FileHolder(filename=str(path))
    return nib.load(path) if is_of_one_case else nib.Nifti1Image.from_file_map({"image": holder})


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


def _decode_nrrd(path: Path, grid: Gridded | None) -> tuple[np.ndarray, np.ndarray]:
    array, header = read_nrrd(path, grid)
    return array, _nrrd_affine(path, header)


def _nrrd_affine(path: Path, header: Mapping[str, Any]) -> np.ndarray:
    if len(header["sizes"]) != 3:
        return np.eye(4)
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
    return _NRRD_SPACES[space.lower()] @ affine


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
