from pathlib import Path

import itk
import nibabel as nib
import nrrd as pynrrd
import numpy as np
import pytest

from apps.calibrated_ensemble.monai_tasks.result_files import result_dtype, result_suffix, write_result
from lib.errors import InputError
from lib.images.files import read_scan
from lib.images.volume import Volume
from lib.simulation.phantoms import make_phantom


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd"])
@pytest.mark.parametrize("orientation", ["RAS", "LPS", "PIR"])
def test_a_result_is_read_back_at_its_place(suffix: str, orientation: str) -> None:
    made = make_phantom(0, orientation=orientation, tilt=20.0).posterior
    path = Path(write_result(made, suffix=suffix))
    try:
        back = read_scan(path)
        by_itk = itk.imread(str(path))
    finally:
        path.unlink()
    np.testing.assert_allclose(back.affine, made.affine, atol=1e-5)
    np.testing.assert_array_equal(back.array, made.array)
    corner = [1, 2, 3]
    lps = np.array(by_itk.TransformIndexToPhysicalPoint(corner))
    np.testing.assert_allclose(lps, [-1, -1, 1] * nib.affines.apply_affine(made.affine, corner), atol=1e-3)


@pytest.mark.parametrize("compress", [False, True])
def test_channels_come_first_in_nrrd_and_last_in_nifti(compress: bool) -> None:
    rng = np.random.default_rng(0)
    heatmap = rng.random((2, 5, 6, 7), dtype=np.float32)
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    nrrd = Path(write_result(Volume(heatmap, affine), suffix=".nrrd", compress=compress))
    nifti = Path(write_result(Volume(heatmap, affine), suffix=".nii.gz"))
    try:
        data, header = pynrrd.read(str(nrrd))
        np.testing.assert_array_equal(data, heatmap)
        assert header["encoding"] == ("gzip" if compress else "raw")
        assert header["kinds"] == ["list", "domain", "domain", "domain"]
        np.testing.assert_array_equal(np.asanyarray(nib.load(nifti).dataobj), np.moveaxis(heatmap, 0, -1))
    finally:
        nrrd.unlink()
        nifti.unlink()


@pytest.mark.parametrize(
    ("request_", "suffix"),
    [
        ({"image": "/a/b.nii.gz"}, ".nii.gz"),
        ({"image": "/a/b.NRRD"}, ".nrrd"),
        ({"image": "/a/folder"}, ".nii.gz"),
        ({"image": "/a/b.nii.gz", "result_extension": ".nrrd"}, ".nrrd"),
        ({"image": "/a/b.nii", "result_extension": None}, ".nii"),
    ],
)
def test_the_format_is_what_is_asked_for_else_that_of_the_scan(request_: dict[str, str], suffix: str) -> None:
    assert result_suffix(request_) == suffix


def test_a_format_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(InputError, match=r"result_extension: is '\.seg\.nrrd'.*\.nrrd"):
        result_suffix({"result_extension": ".seg.nrrd"})


@pytest.mark.parametrize(("asked", "expected"), [(None, np.float32), ("uint8", np.uint8), ("uint16", np.uint16)])
def test_the_type_is_what_is_asked_for_else_the_default(asked: str | None, expected: type) -> None:
    assert result_dtype({"result_dtype": asked}, np.float32) == expected


@pytest.mark.parametrize("asked", ["str", "bool", "complex64", "nonsense", "object"])
def test_a_type_that_holds_no_numbers_is_refused(asked: str) -> None:
    with pytest.raises(InputError, match="result_dtype"):
        result_dtype({"result_dtype": asked}, np.uint8)
