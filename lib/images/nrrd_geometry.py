"""Where the header of an NRRD file says that its voxels lie."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import InputError
from lib.images.plausible_grid import check_grid, spatial_shape
from lib.images.volume import RAS_TO_LPS, Grid, Volume

_LPS = "left-posterior-superior"

# From an anatomical space of NRRD to RAS.
_SPACES = {
    "right-anterior-superior": np.eye(4),
    "ras": np.eye(4),
    "left-anterior-superior": np.diag([-1.0, 1.0, 1.0, 1.0]),
    "las": np.diag([-1.0, 1.0, 1.0, 1.0]),
    _LPS: RAS_TO_LPS,
    "lps": RAS_TO_LPS,
}

# Names that programs write for units of space, to millimetres.
_UNITS = {
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres", ""), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 10.0),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1000.0),
    **dict.fromkeys(("um", "\N{MICRO SIGN}m", "\N{GREEK SMALL LETTER MU}m", "micron", "microns"), 0.001),
    **dict.fromkeys(("micrometer", "micrometers", "micrometre", "micrometres"), 0.001),
}


def nrrd_grid(path: Path, header: Mapping[str, Any]) -> Grid:
    """Give the grid of an NRRD file.

    Raises:
        InputError: it is not three-dimensional, does not say where it lies, or is none that a scan can have.
    """
    shape = spatial_shape(tuple(int(size) for size in header["sizes"]), where=str(path))
    affine = _affine(path, header)
    check_grid(affine, shape, where=str(path))
    return Grid(shape, affine)


def nrrd_fields(volume: Volume, *, compress: bool) -> dict[str, Any]:
    """Give the header fields for a volume, (x, y, z) or (channels, x, y, z), as pynrrd takes them."""
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


def _affine(path: Path, header: Mapping[str, Any]) -> np.ndarray:
    """From voxel indices to RAS millimetres, shape (4, 4)."""
    space = header.get("space", _LPS)
    directions = np.asarray(header.get("space directions", []), dtype=np.float64)[:3]
    origin = np.asarray(header.get("space origin", []), dtype=np.float64)
    if space.lower() not in _SPACES or directions.shape != (3, 3) or origin.shape != (3,):
        raise InputError(
            f"{path}: has the space {space!a:.80} and "
            f"{'some' if 'space directions' in header else 'no'} space directions; "
            f"export it again with its geometry, such as space: {_LPS}"
        )
    units = set(header.get("space units", ["mm"]))
    if len(units) > 1 or not units <= set(_UNITS):
        raise InputError(f"{path}: has the space units {', '.join(sorted(units))!a:.80}; give mm along every axis")
    affine = np.eye(4)
    affine[:3, :3] = directions.T
    affine[:3, 3] = origin
    return np.diag([*[_UNITS[units.pop()]] * 3, 1.0]) @ _SPACES[space.lower()] @ affine
