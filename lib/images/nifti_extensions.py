"""What stands between the header of a NIfTI file and its voxels: a reader takes the sizes there for true."""

from pathlib import Path
from typing import Literal

import nibabel as nib
from nibabel.openers import ImageOpener

from lib.errors import InputError

_LONGEST = 1 << 24
"""Bytes before the voxels: headers of other programs are kept there, never more than a few MB."""


def check_extensions(path: Path, kind: type[nib.Nifti1Header]) -> None:
    """Check that the extensions of a header end where the voxels begin, and that this is not far.

    Args:
        path: of the file.
        kind: of the header.

    Raises:
        InputError: they do not.
        OSError: the file cannot be read, or not be unpacked.
    """
    size = kind.template_dtype.itemsize
    with ImageOpener(str(path)) as stream:
        block = stream.read(size)
        if len(block) < size:
            return  # what is cut short is told by its reader
        header = kind(block, check=False)
        offset = float(header["vox_offset"])
        if not 0 <= offset <= _LONGEST:
            raise InputError(f"{path}: has its voxels from byte {offset:g} on; export it again")
        content = stream.read(max(int(offset) - size, 4))
    if content[:1].strip(b"\0"):
        _check_sizes(path, content[4:], "little" if header.endianness == "<" else "big")


def _check_sizes(path: Path, content: bytes, order: Literal["little", "big"]) -> None:
    place = 0
    while len(content) - place >= 16:
        size = int.from_bytes(content[place : place + 4], order, signed=True)
        if not 8 <= size <= len(content) - place:
            raise InputError(f"{path}: has an extension of {size} bytes in its header; export it again without any")
        place += size
