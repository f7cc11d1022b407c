from pathlib import Path

import nrrd
import numpy as np
import pytest

from lib.errors import InputError
from lib.images.files import read_scan

_ORIGIN = [10.0, -20.0, 30.0]


def _scan(path: Path, *, scale: float = 1.0, shape: tuple[int, ...] = (24, 22, 12), **fields: object) -> Path:
    header = {
        "space": "left-posterior-superior",
        "space directions": np.diag([2.0, 2.0, 3.0]) * scale,
        "space origin": np.array(_ORIGIN) * scale,
        **fields,
    }
    nrrd.write(str(path), np.zeros(shape, np.int16), header)
    return path


@pytest.mark.parametrize(
    ("unit", "scale"), [("mm", 1.0), ("cm", 0.1), ("microns", 1000.0), ("um", 1000.0), ("m", 0.001), ("", 1.0)]
)
def test_units_of_space_are_read_as_millimetres(tmp_path: Path, unit: str, scale: float) -> None:
    volume = read_scan(_scan(tmp_path / "a.nrrd", scale=scale, **{"space units": [unit] * 3}))
    np.testing.assert_allclose(volume.affine, np.diag([-1, -1, 1, 1]) @ _affine(), rtol=1e-12)


def _affine() -> np.ndarray:
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    affine[:3, 3] = _ORIGIN
    return affine


@pytest.mark.parametrize("units", [["inch"] * 3, ["mm", "mm", "cm"], ["mm", "mm", "ms"]])
def test_other_units_are_refused(tmp_path: Path, units: list[str]) -> None:
    with pytest.raises(InputError, match=r"a\.nrrd: has the space units .*mm"):
        read_scan(_scan(tmp_path / "a.nrrd", **{"space units": units}))


def test_an_axis_of_one_voxel_at_the_end_leaves_the_place_as_it_is(tmp_path: Path) -> None:
    directions = np.vstack([np.diag([2.0, 2.0, 3.0]), np.full(3, np.nan)])
    path = _scan(tmp_path / "a.nrrd", shape=(24, 22, 12, 1), **{"space directions": directions})
    volume = read_scan(path)
    assert volume.shape == (24, 22, 12)
    np.testing.assert_allclose(volume.affine, np.diag([-1, -1, 1, 1]) @ _affine())


def test_sizes_that_are_no_millimetres_are_doubted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.nrrd: has voxels of 2000 x 2000 x 3000 mm"):
        read_scan(_scan(tmp_path / "a.nrrd", scale=1000.0))
