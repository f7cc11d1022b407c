"""NIfTI files, in and out."""

from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.openers import ImageOpener

from lib.errors import InputError
from lib.images.nifti_extensions import check_extensions
from lib.images.nifti_forms import NiftiForms
from lib.images.plausible_grid import check_grid, spatial_shape
from lib.images.volume import Grid, Gridded, Volume, check_same_shape

_KINDS = {348: nib.Nifti1Image, 540: nib.Nifti2Image}
"""By the size of the header, which a file begins with."""

_DEFLATE_AT_MOST = 1032
"""How many bytes one byte of a gzip file can hold."""


def decode_nifti(path: Path, grid: Gridded | None = None) -> Volume:
    """Read a NIfTI file; voxels of any type, in units where the header scales them.

    Args:
        path: of the file.
        grid: when given, a file of another shape is refused.

    Raises:
        InputError: the file is no NIfTI, or declares a grid that cannot be used or is another than the given one; told
            before voxels are read.
        Exception: whatever nibabel raises of a damaged file.
    """
    image, shape, affine, forms = _opened(path)
    if grid is not None:
        check_same_shape(shape, grid, where=str(path))
    _check_length(path, image)
    return Volume(np.asanyarray(image.dataobj).reshape(shape, order="F"), affine, forms)


def nifti_grid(path: Path) -> Grid:
    """Read where the voxels of a NIfTI file lie, and none of them.

    Raises:
        InputError: the file is no NIfTI, or declares a grid that cannot be used.
        Exception: whatever nibabel raises of a damaged file.
    """
    _, shape, affine, _ = _opened(path)
    return Grid(shape, affine)


def _opened(path: Path) -> tuple[nib.Nifti1Image, tuple[int, int, int], np.ndarray, NiftiForms]:
    """The image, whose voxels are not read yet, its shape, its affine and what its header says of it."""
    kind = _kind_of(path)
    check_extensions(path, kind.header_class)
    # By its class, since of a suffix in mixed case nibabel would look for a file in lower case.
    image = kind.from_file_map({"image": nib.FileHolder(filename=str(path))})
    # As it is in the file: nibabel mends what other programs take as it stands.
    with ImageOpener(str(path)) as file:
        forms = NiftiForms.of(kind.header_class.from_fileobj(file, check=False))
    shape = spatial_shape(image.shape, where=str(path))
    affine = forms.affine(shape, where=str(path))
    check_grid(affine, shape, where=str(path))
    return image, shape, affine, forms


def nifti_image(volume: Volume) -> nib.Nifti1Image:
    """Make an image of a volume, (x, y, z) or (channels, x, y, z); channels come last."""
    array = np.moveaxis(volume.array, 0, -1) if volume.array.ndim == 4 else volume.array
    if volume.forms is None:
        image = nib.Nifti1Image(array, volume.affine)
        image.header.set_xyzt_units("mm")
        return image
    header = nib.Nifti1Header()
    header.set_data_dtype(array.dtype)
    header.set_data_shape(array.shape)
    volume.forms.put_into(header)
    # Without an affine, nibabel leaves the forms as they are.
    return nib.Nifti1Image(array, None, header)


def _kind_of(path: Path) -> type[nib.Nifti1Image]:
    with ImageOpener(str(path)) as file:
        start = file.read(4)
    sizes = {int.from_bytes(start, order) for order in ("little", "big")}
    found = [_KINDS[size] for size in sizes & set(_KINDS)]
    if not found or len(start) < 4:
        raise InputError(
            f"{path}: cannot be read as an image (it does not begin like a NIfTI file); "
            "it may be truncated, or no NIfTI or NRRD file: copy it again"
        )
    return found[0]


def _check_length(path: Path, image: nib.Nifti1Image) -> None:
    """Refuse a file that cannot hold its voxels before memory is taken for them."""
    declared = int(np.prod(image.shape, dtype=object)) * image.get_data_dtype().itemsize
    limit = path.stat().st_size * (_DEFLATE_AT_MOST if path.name.lower().endswith(".gz") else 1)
    if declared > limit:
        raise InputError(
            f"{path}: cannot be read as an image ({path.stat().st_size} bytes cannot hold {image.shape} voxels); "
            "it may be truncated: copy it again"
        )
