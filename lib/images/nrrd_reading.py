"""NRRD files as arrays: data that stands in the file itself, no more than the header declares, and named segments."""

import bz2
import io
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import nrrd
import numpy as np

from lib.errors import InputError
from lib.images.reading_limits import check_fits_file, check_shape
from lib.images.volume import Gridded

_LONGEST_HEADER = 1 << 22
_LONGEST_SKIP = 1 << 16

_UNPACKERS: dict[str, Callable[[], Any]] = {
    **dict.fromkeys(("gzip", "gz"), lambda: zlib.decompressobj(zlib.MAX_WBITS | 16)),
    **dict.fromkeys(("bzip2", "bz2"), bz2.BZ2Decompressor),
}

_NAME = re.compile(r"Segment(\d+)_Name")


def read_nrrd(path: Path, grid: Gridded | None = None) -> tuple[np.ndarray, Mapping[str, Any]]:
    """Read an array and the fields of its header.

    Data of other files is never followed: what came over the network could name any file of the server.

    Args:
        path: of the file.
        grid: what the array must have the shape of, which is checked before voxels are read.

    Returns:
        Axes in the order of the file.

    Raises:
        InputError: detached data, no number a voxel, another shape than the grid's, or other data than is declared.
        Exception: whatever pynrrd raises where it is no NRRD file.
    """
    with _opened(path) as (stream, header):
        shape, itemsize = tuple(int(size) for size in header["sizes"]), _itemsize(path, header)
        check_shape(path, shape, grid)
        _check_skips(path, header)
        encoding = header["encoding"]
        if encoding not in _UNPACKERS:
            return nrrd.read_data(header, stream), header
        count = int(header.get("byte skip", header.get("byteskip", 0))) + itemsize * math.prod(shape)
        check_fits_file(path, count, suffix=".gz" if encoding.startswith("gz") else ".bz2")
        content = _UNPACKERS[encoding]().decompress(stream.read(), count + 1)
        if len(content) > count:
            raise InputError(f"{path}: holds more data than the {shape} voxels that it declares; save it again")
        return nrrd.read_data({**header, "encoding": "raw"}, io.BytesIO(content)), header


def nrrd_header(path: Path) -> Mapping[str, Any]:
    """Read the fields of a header.

    Raises:
        InputError: the data is detached.
        Exception: whatever pynrrd raises where it is no NRRD file.
    """
    with _opened(path) as (_, header):
        return header


def segment_names(header: Mapping[str, Any], *, where: str) -> dict[int, str]:
    """Names that 3D Slicer writes beside a label: value in the file to name; empty where there are none.

    Raises:
        InputError: two segments share a value, or one has none.
    """
    names: dict[int, str] = {}
    for field, name in header.items():
        found = _NAME.fullmatch(field)
        if found is None:
            continue
        value = _label_value(header, int(found[1]), where)
        if names.setdefault(value, name) != name:
            raise InputError(
                f"{where}: names value {value} {names[value]!r} and {name!r}; give each segment a value of its own"
            )
    return names


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], dict[str, Any]]]:
    """The file behind its header, and the header, whose names may be in any language."""
    with path.open("rb") as stream:
        lines, size = [], 0
        while line := stream.readline(_LONGEST_HEADER):
            size += len(line)
            if size > _LONGEST_HEADER:
                raise InputError(f"{path}: has a header of more than {_LONGEST_HEADER} bytes; save it again as NRRD")
            if not line.strip():
                break
            lines.append(line.decode("utf-8", "replace"))
        header = dict(nrrd.read_header(lines))
        for field in header:
            if field.replace(" ", "").lower() == "datafile":
                raise InputError(f"{path}: keeps its data in another file; save header and data in one file")
        yield stream, header


def _itemsize(path: Path, header: Mapping[str, Any]) -> int:
    """Bytes of a voxel."""
    kind = header.get("type")
    if kind == "block":
        raise InputError(f"{path}: holds blocks of bytes; export it again with one real number per voxel")
    # pynrrd knows the names of types, and tells them with the data alone.
    empty = {"dimension": 1, "sizes": np.array([0]), "encoding": "raw", "endian": "little", "type": kind}
    return int(nrrd.read_data(empty, io.BytesIO()).dtype.itemsize)


def _check_skips(path: Path, header: Mapping[str, Any]) -> None:
    for field in ("line skip", "byte skip"):
        skip = header.get(field, header.get(field.replace(" ", ""), 0))
        lowest = -1 if field == "byte skip" and header["encoding"] not in _UNPACKERS else 0
        if not lowest <= skip <= _LONGEST_SKIP:
            raise InputError(f"{path}: has the {field} {skip}; save it again without one")


def _label_value(header: Mapping[str, Any], number: int, where: str) -> int:
    # Before Slicer 5 a segment had the value of its place.
    text = str(header.get(f"Segment{number}_LabelValue", number + 1))
    if not text.isdecimal():
        raise InputError(f"{where}: has Segment{number}_LabelValue {text!r}; give a whole number")
    return int(text)
