"""A NIfTI file says in three places where it lies; what is read and written lies where every program puts it."""

import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from lib.errors import InputError
from lib.images.files import read_grid, read_label, read_scan, write_volume
from lib.images.volume import RAS_TO_LPS, Volume

_PLACE = np.array([[0, 0, -1.5, 60], [-0.8, 0, 0, 20], [0, 2.5, 0, 30], [0, 0, 0, 1.0]])
_SHAPE = (24, 22, 12)
_PIXDIM, _QFORM_CODE, _SFORM_CODE, _UNITS = 76, 252, 254, 123
"""Where in a file these stand."""

Change = Callable[[bytearray], None]


def _file(path: Path, qform: np.ndarray, sform: np.ndarray, *, codes: tuple[int, int], change: Change) -> Path:
    """A file with these forms and codes (qform, sform), changed byte by byte: nibabel writes no contradictions."""
    image = nib.Nifti1Image(np.zeros(_SHAPE, np.int16), None)
    image.set_qform(qform, code=1)
    image.set_sform(sform, code=1)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    content = bytearray(path.read_bytes())
    struct.pack_into("<2h", content, _QFORM_CODE, *codes)
    change(content)
    path.write_bytes(content)
    return path


def _as_it_is(content: bytearray) -> None:
    assert content


def _pixdim(*values: float) -> Change:
    return lambda content: struct.pack_into(f"<{len(values)}f", content, _PIXDIM, *values)


def _in_unit(code: int) -> Change:
    return lambda content: content.__setitem__(_UNITS, code)


def _by_itk(path: Path) -> np.ndarray:
    image = sitk.ReadImage(str(path))
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return RAS_TO_LPS @ lps


def _moved(*millimetres: float) -> np.ndarray:
    place = _PLACE.copy()
    place[:3, 3] += millimetres
    return place


_CONTRADICTIONS: list[tuple[str, np.ndarray, np.ndarray, tuple[int, int], Change, str]] = [
    ("moved", _PLACE, _moved(10, -5, 3), (1, 2), _as_it_is, "lie up to 9.22 voxels apart"),
    ("moved, codes of one kind", _PLACE, _moved(10, -5, 3), (1, 1), _as_it_is, "voxels apart"),
    ("moved by a fifth of a voxel", _PLACE, _moved(0, 0.16, 0), (1, 4), _as_it_is, "lie up to 0.2 voxels apart"),
    ("mirrored", _PLACE, _PLACE @ np.diag([-1, 1, 1, 1]), (1, 2), _as_it_is, "voxels apart"),
    ("other spacing", _PLACE, _PLACE @ np.diag([1.5, 1, 1, 1]), (1, 2), _as_it_is, "sform has voxels of 1.2 x 2.5"),
    ("sizes that were never set", _PLACE, _PLACE, (0, 1), _pixdim(1, 1, 1, 1), "its pixdim of 1 x 1 x 1"),
    ("no codes", _PLACE, _PLACE, (0, 0), _as_it_is, "neither qform nor sform"),
    ("an unknown code", _PLACE, _PLACE, (1, 9), _as_it_is, "sform code 9"),
    ("a code below 0", _PLACE, _PLACE, (-1, 1), _as_it_is, "qform code -1"),
    ("a size below 0", _PLACE, _PLACE, (1, 1), _pixdim(1, -0.8, 2.5, 1.5), "pixdim 1 x -0.8 x 2.5 x 1.5"),
    ("a size of 0", _PLACE, _PLACE, (0, 1), _pixdim(1, 0, 2.5, 1.5), "pixdim 1 x 0 x 2.5 x 1.5"),
    ("a size that is no number", _PLACE, _PLACE, (0, 1), _pixdim(1, np.nan, 2.5, 1.5), "pixdim 1 x nan"),
    ("another handedness than 1 or -1", _PLACE, _PLACE, (1, 0), _pixdim(-5, 0.8, 2.5, 1.5), "pixdim -5 x"),
]


@pytest.mark.parametrize(("qform", "sform", "codes", "change", "reason"), [c[1:] for c in _CONTRADICTIONS])
@pytest.mark.parametrize("read", [read_scan, read_grid, lambda path: read_label(path, values=[1])])
def test_a_header_that_programs_read_differently_is_refused(
    tmp_path: Path,
    qform: np.ndarray,
    sform: np.ndarray,
    codes: tuple[int, int],
    change: Change,
    reason: str,
    read: Callable[[Path], object],
) -> None:
    path = _file(tmp_path / "scan.nii", qform, sform, codes=codes, change=change)
    with pytest.raises(InputError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert reason in message
    assert "\n" not in message


_CONSISTENT = [
    ((1, 1), _PLACE, _PLACE, _as_it_is),
    ((1, 2), _PLACE, _moved(0, 0.04, 0), _as_it_is),
    ((2, 4), _moved(0.05, 0, 0), _PLACE, _as_it_is),
    ((1, 0), _PLACE, _moved(50, 0, 0), _as_it_is),
    ((0, 3), _moved(50, 0, 0), _PLACE, _as_it_is),
    ((1, 1), _PLACE * [[1e-3], [1e-3], [1e-3], [1]], _PLACE * [[1e-3], [1e-3], [1e-3], [1]], _in_unit(1)),
    ((1, 1), _PLACE * [[1e3], [1e3], [1e3], [1]], _PLACE * [[1e3], [1e3], [1e3], [1]], _in_unit(3)),
    ((1, 1), _PLACE, _PLACE, _in_unit(0)),
    ((1, 1), _PLACE, _PLACE, _in_unit(2 + 8)),
]


@pytest.mark.parametrize(("codes", "qform", "sform", "change"), _CONSISTENT)
def test_what_is_written_lies_where_the_scan_lies_in_every_program(
    tmp_path: Path, codes: tuple[int, int], qform: np.ndarray, sform: np.ndarray, change: Change
) -> None:
    path = _file(tmp_path / "scan.nii.nii", qform, sform, codes=codes, change=change)
    scan = read_scan(path)
    # ITK prefers now the one form and now the other; where both count they are the same to a tenth of a voxel.
    np.testing.assert_allclose(scan.affine, _by_itk(path), atol=0.06)
    for name, array in (("label.nii.gz", np.zeros(_SHAPE, np.uint8)), ("heatmap.nii", np.zeros((2, *_SHAPE)))):
        written = tmp_path / name
        write_volume(written, Volume(array.astype(np.float32), scan.affine, scan.forms))
        before, after = nib.load(path).header, nib.load(written).header
        for field in ("qform_code", "sform_code"):
            assert before[field] == after[field]
        np.testing.assert_array_equal(before.get_sform(), after.get_sform())
        np.testing.assert_array_equal(before.get_qform(), after.get_qform())
        np.testing.assert_array_equal(nib.load(path).affine, nib.load(written).affine)
        assert before["xyzt_units"] & 7 == after["xyzt_units"] & 7
    np.testing.assert_array_equal(_by_itk(path), _by_itk(tmp_path / "label.nii.gz"))
    np.testing.assert_array_equal(read_scan(tmp_path / "label.nii.gz").affine, scan.affine)


@pytest.mark.parametrize(("codes", "qform", "sform", "change"), _CONSISTENT)
def test_a_label_that_itk_saves_for_a_scan_lies_on_it(
    tmp_path: Path, codes: tuple[int, int], qform: np.ndarray, sform: np.ndarray, change: Change
) -> None:
    path = _file(tmp_path / "scan.nii", qform, sform, codes=codes, change=change)
    for suffix in (".nii.gz", ".nrrd"):
        image = sitk.ReadImage(str(path))
        sitk.WriteImage(sitk.Cast(image, sitk.sitkUInt8), str(tmp_path / f"label{suffix}"))
        assert not read_label(tmp_path / f"label{suffix}", values=[1], scan=read_scan(path)).array.any()


@pytest.mark.parametrize(("unit", "factor"), [("micron", 1000.0), ("meter", 0.001)])
def test_a_header_in_other_units_is_read_in_millimetres(tmp_path: Path, unit: str, factor: float) -> None:
    image = nib.Nifti1Image(np.zeros(_SHAPE, np.int16), np.diag([factor, factor, factor, 1]) @ _PLACE)
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "scan.nii")
    np.testing.assert_allclose(read_scan(tmp_path / "scan.nii").affine, _PLACE, rtol=1e-6)
    np.testing.assert_allclose(read_scan(tmp_path / "scan.nii").affine, _by_itk(tmp_path / "scan.nii"), rtol=1e-6)
