"""Files of predictions in the format that a client asks for."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import InputError
from lib.images.files import SUFFIXES, write_volume
from lib.images.volume import Volume

# What both formats hold and viewers read.
_DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")


def result_suffix(request: Mapping[str, Any]) -> str:
    """File suffix that a request asks for (`result_extension`), else that of its scan.

    Raises:
        InputError: a suffix that cannot be written.
    """
    asked = request.get("result_extension")
    if not asked:
        name = str(request.get("image", "")).lower()
        return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), ".nii.gz")
    if asked not in SUFFIXES:
        raise InputError(f"result_extension: is {str(asked)[:50]!r}; give one of {', '.join(SUFFIXES)}")
    return str(asked)


def result_dtype(request: Mapping[str, Any], default: type[np.generic]) -> np.dtype:
    """Type of the voxels that a request asks for (`result_dtype`).

    Raises:
        InputError: no type of numbers.
    """
    asked = request.get("result_dtype")
    if not asked:
        return np.dtype(default)
    if asked not in _DTYPES:
        raise InputError(f"result_dtype: is {str(asked)[:50]!r}; give one of {', '.join(_DTYPES)}")
    return np.dtype(asked)


def write_result(result: Volume, *, suffix: str, compress: bool = False) -> str:
    """Write a result to a new temporary file, which the server removes after sending it.

    Args:
        result: shape (x, y, z), or (channels, x, y, z), at the place of the scan.
        suffix: one of `lib.images.files.SUFFIXES`; NIfTI has channels last, NRRD first.
        compress: for NRRD only: viewers ask for plain data, since some cannot unpack it.

    Raises:
        StorageError: the file cannot be written.
    """
    with tempfile.NamedTemporaryFile(prefix="calibrated-ensemble-", suffix=suffix, delete=False) as file:
        path = Path(file.name)
    try:
        write_volume(path, result, compress=compress)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return str(path)
