"""How much of a file is read: what its header declares, checked before any voxel is unpacked.

A megabyte can unpack to a gigabyte, and a header can declare what no machine can hold.
"""

import math
from pathlib import Path
from typing import Literal

import nibabel as nib
from nibabel.openers import ImageOpener

from lib.errors import InputError
from lib.images.volume import Gridded, check_same_shape

_MOST_UNPACKED = {".gz": 1032, ".bz2": 50_000}
"""Bytes that a byte of a compressed file can hold at most, by the suffix of the compression."""

_LONGEST_HEADER = 1 << 24
"""Bytes of a NIfTI file before its voxels: headers of other programs are kept there, never more than a few MB."""

_LONGEST_REST = 1 << 20
"""Bytes behind the voxels: some programs fill a file up."""

_CIFTI_INTENTS = range(3000, 3100)


def check_shape(path: Path, shape: tuple[int, ...], grid: Gridded | None) -> None:
    """Check the shape that a header declares, before voxels are read.

    Args:
        path: of the file, for messages.
        shape: as declared; axes of one voxel behind the third do not count.
        grid: that the file must have the shape of; without one any shape is right.

    Raises:
        InputError: the shapes differ.
    """
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if grid is not None:
        check_same_shape(shape, grid, where=str(path))


def check_fits_file(path: Path, count: int, *, suffix: str) -> None:
    """Check that a compressed file can hold what it declares.

    Args:
        path: of the file.
        count: bytes that it declares, unpacked.
        suffix: of the compression, which tells what a byte can hold.

    Raises:
        InputError: it cannot.
    """
    size = path.stat().st_size
    if count > size * _MOST_UNPACKED[suffix]:
        raise InputError(f"{path}: declares {count} bytes of voxels, which its {size} bytes cannot hold; copy it again")


def check_nifti(path: Path, grid: Gridded | None) -> None:
    """Check what the header of a NIfTI file declares; a file that is none is left to its reader.

    Raises:
        InputError: another shape than the grid's, more voxels than the file can hold, or endless extensions.
        OSError: the file cannot be read, or not be unpacked.
    """
    with ImageOpener(path) as stream:
        block = stream.read(nib.Nifti2Header.template_dtype.itemsize + 4)
        kind = _header_kind(block)
        if kind is None:
            return
        size = kind.template_dtype.itemsize
        if len(block) < size:
            return
        header = kind(block[:size], check=False)
        offset = float(header["vox_offset"])
        if kind is nib.Nifti2Header and int(header["intent_code"]) in _CIFTI_INTENTS:
            raise InputError(f"{path}: is a CIFTI file; give one 3-D volume per file")
        if not 0 <= offset <= _LONGEST_HEADER:
            raise InputError(f"{path}: has voxels from byte {offset:g} on; export it again")
        extensions = block[size:] + stream.read(max(int(offset) - len(block), 0))
    shape = tuple(int(length) for length in header.get_data_shape())
    check_shape(path, shape, grid)
    if extensions[:1].strip(b"\0"):
        _check_extensions(path, extensions[4 : int(offset) - size], "little" if header.endianness == "<" else "big")
    if path.name.lower().endswith(".gz"):
        count = math.prod(shape) * int(header.get_data_dtype().itemsize)
        check_fits_file(path, count, suffix=".gz")
        if grid is not None:
            _check_end(path, int(offset) + count)


def _check_end(path: Path, length: int) -> None:
    """Check that a compressed file ends about where its voxels do: whoever opens it may unpack all of it."""
    with ImageOpener(str(path)) as stream:
        stream.seek(length)
        if len(stream.read(_LONGEST_REST + 1)) > _LONGEST_REST:
            raise InputError(f"{path}: holds more data than the voxels that it declares; save it again")


def _header_kind(block: bytes) -> type[nib.Nifti1Header] | None:
    for kind in (nib.Nifti1Header, nib.Nifti2Header):
        size = kind.template_dtype.itemsize.to_bytes(4, "little")
        if block[:4] in (size, size[::-1]):
            return kind
    return None


def _check_extensions(path: Path, content: bytes, order: Literal["little", "big"]) -> None:
    """Check that extensions end where the voxels begin: a reader takes their own sizes for true."""
    place = 0
    while len(content) - place >= 16:
        size = int.from_bytes(content[place : place + 4], order, signed=True)
        if not 8 <= size <= len(content) - place:
            raise InputError(f"{path}: has an extension of {size} bytes in its header; export it again without any")
        place += size
