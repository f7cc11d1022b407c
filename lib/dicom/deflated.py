"""DICOM files that are compressed as a whole, which a reader unpacks however large they become."""

import io
import zlib
from pathlib import Path

from pydicom.uid import DeflatedExplicitVRLittleEndian

from lib.errors import InputError

MOST_UNPACKED = 192 << 20
"""Bytes of an unpacked object; larger ones can be sent uncompressed."""

_DEFLATED = DeflatedExplicitVRLittleEndian.encode()
_CHUNK = 1 << 16
_META = 132  # bytes before the file meta information: preamble and "DICM"
_LONGEST_META = 1 << 16


def check_unpacked_file(file: Path) -> None:
    """Check a file as `check_unpacked_size` does; no more than its beginning is read of one that is not deflated.

    Raises:
        InputError: see `check_unpacked_size`.
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        beginning = stream.read(_LONGEST_META)
    if _DEFLATED in beginning:
        check_unpacked_size(file.read_bytes())


def check_unpacked_size(content: bytes) -> None:
    """Check that a DICOM file does not unpack to more than `MOST_UNPACKED`; little of it is in memory at once.

    Args:
        content: of the file; one that is not deflated, or no DICOM file, is left to its reader.

    Raises:
        InputError: it does, or does not say where its compressed part begins.
    """
    if content[_META - 4 : _META] != b"DICM" or _DEFLATED not in content[:_LONGEST_META]:
        return
    if content[_META : _META + 8] != b"\x02\x00\x00\x00UL\x04\x00":
        raise InputError("deflated object: does not tell the length of its header; send it uncompressed")
    start = _META + 12 + int.from_bytes(content[_META + 8 : _META + 12], "little")
    if _DEFLATED not in content[:start]:
        return
    packed, inflate, unpacked = io.BytesIO(content[start:]), zlib.decompressobj(-zlib.MAX_WBITS), 0
    while unpacked <= MOST_UNPACKED and not inflate.eof:
        piece = inflate.unconsumed_tail or packed.read(_CHUNK)
        if not piece:
            return  # cut short, as its reader will tell
        unpacked += len(inflate.decompress(piece, 16 * _CHUNK))
    if unpacked > MOST_UNPACKED:
        raise InputError(
            f"deflated object: unpacks to more than {MOST_UNPACKED >> 20} MB; send it uncompressed, or in parts"
        )
