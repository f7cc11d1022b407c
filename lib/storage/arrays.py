"""Arrays in compressed `.npz` files."""

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lib.storage.atomic import atomic_path


def pack_arrays(arrays: Mapping[str, np.ndarray]) -> memoryview:
    """Content of an `.npz` file of named arrays.

    To be written in one go, since a zip file that meets a full disk complains once more when it is discarded.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getbuffer()


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays, whole or not at all.

    Raises:
        InputError: see `lib.storage.atomic.atomic_path`.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(pack_arrays(arrays))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote, all of it.

    Raises:
        ValueError: the file is missing, damaged or no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
