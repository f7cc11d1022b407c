"""Grids are those of MONAI's readers, which models of version 0.1 were trained with."""

import itertools
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
from monai.data import NibabelReader, NrrdReader

from lib.images.files import read_scan

ORIENTATIONS = [
    "".join(axes) for order in itertools.permutations(("RL", "AP", "SI")) for axes in itertools.product(*order)
]


def oriented(orientation: str, *, tilt: float = 0.3) -> np.ndarray:
    """An affine of a turned patient with three spacings, float64 (4, 4)."""
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
    affine = turn @ np.diag([0.7, 1.1, 4.5, 1.0])
    affine[:3, 3] = (-12.5, 30.25, 100)
    ornt = nib.orientations.axcodes2ornt(orientation)
    return affine @ nib.orientations.inv_ornt_aff(ornt, (4, 5, 6))


def some_voxels(dtype: type = np.int16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, (4, 5, 6)).astype(dtype)


def by_monai(path: Path) -> tuple[np.ndarray, np.ndarray]:
    reader = NrrdReader() if path.suffix == ".nrrd" else NibabelReader()
    array, meta = reader.get_data(reader.read(str(path)))
    return array, np.asarray(meta["affine"])


def assert_like_monai(path: Path) -> None:
    array, affine = by_monai(path)
    volume = read_scan(path)
    np.testing.assert_array_equal(volume.array, array.astype(np.float32))
    np.testing.assert_allclose(volume.affine, affine, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_nifti_of_every_orientation(tmp_path: Path, orientation: str) -> None:
    assert len(ORIENTATIONS) == 48
    nib.save(nib.Nifti1Image(some_voxels(), oriented(orientation)), tmp_path / "scan.nii")
    assert_like_monai(tmp_path / "scan.nii")


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_nrrd_of_every_orientation(tmp_path: Path, orientation: str) -> None:
    lps = np.diag([-1, -1, 1, 1]) @ oriented(orientation)
    header = {"space": "left-posterior-superior", "space directions": lps[:3, :3].T, "space origin": lps[:3, 3]}
    nrrd.write(str(tmp_path / "scan.nrrd"), some_voxels(), header)
    assert_like_monai(tmp_path / "scan.nrrd")


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64, ">i2", ">f4"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd"])
def test_every_type_of_voxels(tmp_path: Path, dtype: type, suffix: str) -> None:
    path, voxels = tmp_path / f"scan{suffix}", some_voxels(dtype)
    if suffix == ".nrrd":
        nrrd.write(str(path), voxels, {"space dimension": 3, "space directions": np.eye(3), "space origin": [1, 2, 3]})
    else:
        nib.save(nib.Nifti1Image(voxels, oriented("LPS"), dtype=voxels.dtype), path)
    assert_like_monai(path)


@pytest.mark.parametrize(("sform_code", "qform_code"), [(0, 1), (1, 0), (2, 0), (1, 1), (4, 1)])
@pytest.mark.parametrize("nifti", [nib.Nifti1Image, nib.Nifti2Image])
def test_every_pair_of_forms_that_agree(tmp_path: Path, sform_code: int, qform_code: int, nifti: type) -> None:
    image = nifti(some_voxels(), oriented("PIR"))
    image.set_qform(oriented("PIR"), qform_code)
    image.set_sform(oriented("PIR"), sform_code)
    image.header["sform_code"], image.header["qform_code"] = sform_code, qform_code
    nib.save(_as_it_is(image), tmp_path / "scan.nii")
    assert_like_monai(tmp_path / "scan.nii")


def _as_it_is(image: nib.Nifti1Image) -> nib.Nifti1Image:
    """The image with its header as it stands: nibabel writes no forms of an image without affine."""
    return type(image)(np.asanyarray(image.dataobj), None, image.header)


def test_one_volume_of_a_series_lies_where_it_lies(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(some_voxels()[..., None], oriented("LAS")), tmp_path / "scan.nii")
    array, affine = by_monai(tmp_path / "scan.nii")
    volume = read_scan(tmp_path / "scan.nii")
    np.testing.assert_array_equal(volume.array, array[..., 0])
    np.testing.assert_array_equal(volume.affine, affine)
