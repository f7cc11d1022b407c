from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lib.errors import InputError
from lib.images.files import read_scan
from lib.images.plausible_grid import check_grid, spatial_shape


def _refusal(spacing: tuple[float, float, float], shape: tuple[int, int, int]) -> str:
    with pytest.raises(InputError) as caught:
        check_grid(np.diag([*spacing, 1.0]), shape, where="scan")
    return str(caught.value)


@pytest.mark.parametrize(
    ("spacing", "shape"),
    [
        ((0.8, 0.8, 5), (512, 512, 80)),
        ((0.01, 0.01, 0.01), (512, 512, 512)),
        ((1.5, 1.5, 3), (400, 300, 700)),
        ((0.7, 0.7, 40), (512, 512, 1)),
        ((20, 20, 30), (24, 22, 12)),
    ],
)
def test_what_scanners_make_is_a_grid(spacing: tuple[float, float, float], shape: tuple[int, int, int]) -> None:
    check_grid(np.diag([*spacing, 1.0]), shape, where="scan")


@pytest.mark.parametrize(
    ("spacing", "shape"),
    [
        ((0.0008, 0.0008, 0.005), (512, 512, 80)),
        ((0.002, 0.002, 0.003), (24, 22, 12)),
        ((2000, 2000, 3000), (24, 22, 12)),
        ((1, 1, 300), (24, 22, 12)),
        ((20, 20, 30), (600, 22, 12)),
    ],
)
def test_sizes_that_are_no_millimetres_are_doubted(
    spacing: tuple[float, float, float], shape: tuple[int, int, int]
) -> None:
    message = _refusal(spacing, shape)
    assert f"voxels of {spacing[0]:g} x {spacing[1]:g} x {spacing[2]:g} mm" in message
    assert "millimetres" in message


def test_axes_that_lie_in_one_plane_are_degenerate_at_any_scale() -> None:
    for scale in (1.0, 0.01):
        flat = np.diag([scale, scale, 0.0, 1.0])
        flat[0, 2] = scale
        with pytest.raises(InputError, match="degenerate"):
            check_grid(flat, (600, 600, 600), where="scan")


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 6, 2), (4, 0, 6), (4, 5, -6), (30000, 30000, 30000)])
def test_what_is_no_one_volume_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="shape"):
        spatial_shape(shape, where="scan")


def test_axes_of_one_voxel_at_the_end_do_not_count() -> None:
    assert spatial_shape((4, 5, 6, 1, 1), where="scan") == (4, 5, 6)
    assert spatial_shape((4, 5, 1), where="scan") == (4, 5, 1)


def test_a_scan_in_metres_that_says_millimetres_is_refused_by_its_name(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((24, 22, 12), np.int16), np.diag([0.002, 0.002, 0.003, 1])), tmp_path / "a.nii")
    with pytest.raises(InputError, match=r"a\.nii: has voxels of 0\.002 x 0\.002 x 0\.003 mm"):
        read_scan(tmp_path / "a.nii")
