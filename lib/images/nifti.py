"""NIfTI files, in and out."""

from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.openers import ImageOpener

from lib.errors import InputError
from lib.images.nifti_forms import NiftiForms
from lib.images.plausible_grid import check_grid, spatial_shape
from lib.images.reading_limits import check_nifti
from lib.images.volume import Grid, Gridded, Volume

_KINDS = {348: nib.Nifti1Image, 540: nib.Nifti2Image}
"""By the size of the header, which a file begins with."""


def read_nifti(path: Path, grid: Gridded | None = None) -> Volume:
    """Read a NIfTI file: voxels of any type, in units where the header scales them.

    Args:
        path: of the file.
        grid: what it must have the shape of.

    Raises:
        InputError: it is no NIfTI file, has another shape than the grid, or declares a grid that cannot be used; told
            before voxels are read.
        Exception: whatever nibabel raises of a damaged file.
    """
    check_nifti(path, grid)
    image, forms = _open(path)
    shape, affine = _grid(path, image, forms)
    return Volume(np.asanyarray(image.dataobj).reshape(shape, order="F"), affine, forms)


def nifti_grid(path: Path) -> Grid:
    """Read where the voxels of a NIfTI file lie; errors as of `read_nifti`."""
    check_nifti(path, None)
    return Grid(*_grid(path, *_open(path)))


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


def _open(path: Path) -> tuple[nib.Nifti1Image, NiftiForms]:
    kind = _kind_of(path)
    # By its class, since of a suffix in mixed case nibabel would look for a file in lower case.
    image = kind.from_file_map({"image": nib.FileHolder(filename=str(path))})
    # As it is in the file: nibabel mends what other programs take as it stands.
    with ImageOpener(str(path)) as file:
        return image, NiftiForms.of(kind.header_class.from_fileobj(file, check=False))


def _grid(path: Path, image: nib.Nifti1Image, forms: NiftiForms) -> tuple[tuple[int, int, int], np.ndarray]:
    shape = spatial_shape(image.shape, where=str(path))
    affine = forms.affine(shape, where=str(path))
    check_grid(affine, shape, where=str(path))
    return shape, affine


def _kind_of(path: Path) -> type[nib.Nifti1Image]:
    with ImageOpener(str(path)) as file:
        start = file.read(4)
    sizes = {int.from_bytes(start, "little"), int.from_bytes(start, "big")}
    found = [_KINDS[size] for size in sizes & set(_KINDS)]
    if not found or len(start) < 4:
        raise InputError(
            f"{path}: cannot be read as an image (it does not begin like a NIfTI file); "
            "it may be truncated, or no NIfTI or NRRD file: copy it again"
        )
    return found[0]
