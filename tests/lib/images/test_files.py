"""Reading and writing scans and labels; every wrong file gets one line that says what to do."""

from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest

from lib.errors import InputError, StorageError
from lib.images.files import read_label, read_scan, scan_name, write_volume
from lib.images.volume import Volume, check_label_values, check_same_grid

_AFFINE = np.array([[0, 0, 1.5, -10], [-0.8, 0, 0, 20], [0, 2.5, 0, 30], [0, 0, 0, 1.0]])


def _grey(shape: tuple[int, ...] = (4, 5, 6)) -> np.ndarray:
    return np.random.default_rng(0).normal(100, 20, shape).astype(np.float32)


def _nifti(path: Path, array: np.ndarray, affine: np.ndarray = _AFFINE) -> Path:
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def _refusal(path: Path, **label: object) -> str:
    with pytest.raises(InputError) as caught:
        read_label(path, **label) if label else read_scan(path)  # type: ignore[arg-type]  # settings of the case
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("suffix", [".NII", ".NII.GZ", ".Nii", ".Nii.gz", ".nii.Gz"])
def test_a_suffix_of_any_case_is_read_and_not_another_file_of_lower_case(tmp_path: Path, suffix: str) -> None:
    wanted = _grey()
    _nifti(tmp_path / f"a{suffix.lower()}", wanted).rename(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(read_scan(tmp_path / f"a{suffix}").array, wanted)
    _nifti(tmp_path / f"a{suffix.lower()}", wanted + 1)
    np.testing.assert_array_equal(read_scan(tmp_path / f"a{suffix}").array, wanted)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_nifti_scan_is_read_as_nibabel_reads_it(tmp_path: Path, suffix: str) -> None:
    path = _nifti(tmp_path / f"scan{suffix}", (_grey() * 10).astype(np.int16))
    volume = read_scan(path)
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, nib.load(path).get_fdata())
    np.testing.assert_allclose(volume.affine, nib.load(path).affine)
    assert volume.shape == (4, 5, 6)
    np.testing.assert_allclose(volume.spacing, (0.8, 2.5, 1.5), rtol=1e-6)


def test_the_volume_of_a_voxel_is_that_of_its_parallelepiped() -> None:
    sheared = np.eye(4)
    sheared[:3, :3] = [[-2.0, 1.0, 0.5], [0.0, 3.0, 0.7], [0.0, 0.0, 4.0]]
    first, second, third = sheared[:3, :3].T
    expected = abs(first @ np.cross(second, third))
    assert Volume(np.zeros((1, 1, 1)), sheared).voxel_volume == pytest.approx(expected) == pytest.approx(24.0)


def test_scaled_grey_values_are_in_units_not_as_stored(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(2.0, -1024.0)
    nib.save(image, tmp_path / "scaled.nii")
    expected = np.arange(24).reshape(2, 3, 4) * 2.0 - 1024.0
    np.testing.assert_array_equal(read_scan(tmp_path / "scaled.nii").array, expected)


@pytest.mark.parametrize(
    ("space", "to_ras"),
    [
        ("left-posterior-superior", (-1, -1, 1)),
        ("LPS", (-1, -1, 1)),
        ("right-anterior-superior", (1, 1, 1)),
        ("RAS", (1, 1, 1)),
        ("left-anterior-superior", (-1, 1, 1)),
    ],
)
def test_an_nrrd_file_lies_where_the_same_nifti_file_lies(
    tmp_path: Path, space: str, to_ras: tuple[int, int, int]
) -> None:
    expected = read_scan(_nifti(tmp_path / "scan.nii.gz", _grey()))
    in_space = np.diag([*to_ras, 1]) @ _AFFINE
    nrrd.write(
        str(tmp_path / "scan.nrrd"),
        _grey(),
        {"space": space, "space directions": in_space[:3, :3].T, "space origin": in_space[:3, 3]},
    )
    found = read_scan(tmp_path / "scan.nrrd")
    np.testing.assert_array_equal(found.array, expected.array)
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-5)


@pytest.mark.parametrize("header", [{}, {"spacings": [1.0, 2.0, 3.0]}])
def test_an_nrrd_file_without_geometry_is_refused(tmp_path: Path, header: dict[str, object]) -> None:
    nrrd.write(str(tmp_path / "scan.nrrd"), _grey(), header)
    assert "no space directions" in _refusal(tmp_path / "scan.nrrd")


def test_a_four_dimensional_nrrd_file_is_refused(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "scan.nrrd"), _grey((2, 4, 5, 6)))
    assert "has 4 dimensions" in _refusal(tmp_path / "scan.nrrd")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert _refusal(tmp_path / "none.nii.gz").endswith("no such file")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.95])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"scan{suffix}"
    if suffix == ".nrrd":
        nrrd.write(
            str(path), _grey((20, 20, 20)), {"space": "LPS", "space directions": np.eye(3), "space origin": [0] * 3}
        )
    else:
        _nifti(path, _grey((20, 20, 20)))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    reason = "space directions" if suffix == ".nrrd" and kept == 0.01 else "cannot be read as an image"
    assert reason in _refusal(path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scan.nii.gz").write_text("<html>404 not found</html>" * 50)
    assert "cannot be read as an image" in _refusal(tmp_path / "scan.nii.gz")


@pytest.mark.parametrize(("shape", "found"), [((4, 5), "2 dimensions"), ((4, 5, 6, 2), "4 dimensions")])
def test_what_is_not_three_dimensional_is_refused(tmp_path: Path, shape: tuple[int, ...], found: str) -> None:
    message = _refusal(_nifti(tmp_path / "scan.nii", _grey(shape)))
    assert found in message
    assert str(shape) in message


@pytest.mark.parametrize("shape", [(4, 5, 6, 1), (4, 5, 6, 1, 1)])
def test_a_single_volume_of_a_series_is_a_volume(tmp_path: Path, shape: tuple[int, ...]) -> None:
    assert read_scan(_nifti(tmp_path / "scan.nii", _grey(shape))).shape == (4, 5, 6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_and_counted(tmp_path: Path, value: float) -> None:
    array = _grey()
    array[0, 0, :2] = value
    assert "holds 2 NaN or infinite voxels" in _refusal(_nifti(tmp_path / "scan.nii", array))


def test_values_beyond_float32_are_refused(tmp_path: Path) -> None:
    assert "infinite" in _refusal(_nifti(tmp_path / "scan.nii", np.full((2, 2, 2), 1e300)))


@pytest.mark.parametrize("dtype", [[("R", "u1"), ("G", "u1"), ("B", "u1")], np.complex64])
def test_colour_and_complex_voxels_are_refused(tmp_path: Path, dtype: object) -> None:
    array = np.zeros((4, 5, 6), dtype=dtype)  # type: ignore[call-overload]  # a structured type of three bytes
    assert "one real number per voxel" in _refusal(_nifti(tmp_path / "scan.nii", array))


def test_an_empty_array_is_refused(tmp_path: Path) -> None:
    assert "(0, 5, 6)" in _refusal(_nifti(tmp_path / "scan.nii", _grey()[:0]))


def test_a_degenerate_affine_is_refused(tmp_path: Path) -> None:
    flat = np.diag([1.0, 1.0, 0.0, 1.0])
    flat[0, 2] = 1.0
    assert "degenerate affine" in _refusal(_nifti(tmp_path / "scan.nii", _grey(), flat))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_a_label_is_read_as_bytes_whatever_it_was_stored_as(tmp_path: Path, dtype: type) -> None:
    array = np.random.default_rng(0).choice([0, 3, 255], (4, 5, 6))
    scan = Volume(_grey(), _AFFINE)
    label = read_label(_nifti(tmp_path / "label.nii.gz", array.astype(dtype)), values=(3, 255), scan=scan)
    assert label.array.dtype == np.uint8
    np.testing.assert_array_equal(label.array, array)


def test_an_empty_label_is_a_label(tmp_path: Path) -> None:
    path = _nifti(tmp_path / "label.nii.gz", np.zeros((4, 5, 6), dtype=np.uint8))
    assert not read_label(path, values=(1,), scan=Volume(_grey(), _AFFINE)).array.any()


@pytest.mark.parametrize(("value", "shown"), [(4, "class 4"), (256, "class 256"), (-1, "class -1"), (258, "class 258")])
def test_an_unknown_class_is_named(tmp_path: Path, value: int, shown: str) -> None:
    array = np.zeros((4, 5, 6), dtype=np.int16)
    array[0, 0, 0] = value
    message = _refusal(_nifti(tmp_path / "label.nii", array), values=(1, 2))
    assert shown in message
    assert "the task knows 0, 1, 2" in message


@pytest.mark.parametrize("found", [1.00000002, 0.9995, 2.0009])
def test_a_label_that_scaling_has_rounded_holds_whole_numbers(tmp_path: Path, found: float) -> None:
    path = _nifti(tmp_path / "label.nii", np.full((4, 5, 6), found))
    assert (read_label(path, values=(1, 2)).array == round(found)).all()


def test_a_label_that_nibabel_scales_as_it_saves_it_holds_its_classes(tmp_path: Path) -> None:
    array = np.random.default_rng(0).choice([0.0, 1.0, 2.0, 3.0], (4, 5, 6))
    image = nib.Nifti1Image(array, _AFFINE)
    image.set_data_dtype(np.uint8)
    nib.save(image, tmp_path / "label.nii.gz")
    assert nib.load(tmp_path / "label.nii.gz").dataobj.slope != 1
    np.testing.assert_array_equal(read_label(tmp_path / "label.nii.gz", values=(1, 2, 3)).array, array)


def test_a_label_with_fractions_is_refused(tmp_path: Path) -> None:
    array = np.full((4, 5, 6), 0.98)
    assert "no whole number" in _refusal(_nifti(tmp_path / "label.nii", array), values=(1,))


def test_a_label_with_nan_is_refused(tmp_path: Path) -> None:
    array = np.zeros((4, 5, 6), dtype=np.float32)
    array[1, 1, 1] = np.nan
    assert "NaN" in _refusal(_nifti(tmp_path / "label.nii", array), values=(1,))


def test_a_label_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = _nifti(tmp_path / "label.nii", np.zeros((4, 5, 7), dtype=np.uint8))
    message = _refusal(path, values=(1,), scan=Volume(_grey(), _AFFINE))
    assert "(4, 5, 7)" in message
    assert "(4, 5, 6)" in message


@pytest.mark.parametrize("change", ["moved", "mirrored", "scaled"])
def test_a_label_of_another_place_is_refused(tmp_path: Path, change: str) -> None:
    affine = _AFFINE.copy()
    if change == "moved":
        affine[0, 3] += 0.5
    else:
        affine[:3, 0] *= -1 if change == "mirrored" else 1.1
    path = _nifti(tmp_path / "label.nii", np.zeros((4, 5, 6), dtype=np.uint8), affine)
    assert "voxels from its scan" in _refusal(path, values=(1,), scan=Volume(_grey(), _AFFINE))


def test_rounding_in_a_header_is_not_another_grid() -> None:
    label = Volume(np.zeros((4, 5, 6), dtype=np.uint8), _AFFINE.astype(np.float32) + 1e-5)
    check_same_grid(label, Volume(_grey(), _AFFINE), where="label")


def test_check_label_values_accepts_what_the_task_knows() -> None:
    check_label_values(np.array([0, 7.0, 7.0]), values=(7, 9), where="label")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_written_volume_is_read_back_the_same(tmp_path: Path, suffix: str, dtype: type) -> None:
    volume = Volume(_grey().astype(dtype), _AFFINE)
    path = tmp_path / "new" / f"out{suffix}"
    write_volume(path, volume)
    back = nib.load(path)
    assert back.get_data_dtype() == dtype
    np.testing.assert_array_equal(np.asarray(back.dataobj), volume.array)
    np.testing.assert_allclose(back.affine, _AFFINE, atol=1e-5)
    assert back.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_array_equal(read_scan(path).array, volume.array)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_channels_are_written_last(tmp_path: Path) -> None:
    heatmap = _grey((2, 4, 5, 6))
    write_volume(tmp_path / "heatmap.nii.gz", Volume(heatmap, _AFFINE))
    back = np.asarray(nib.load(tmp_path / "heatmap.nii.gz").dataobj)
    assert back.shape == (4, 5, 6, 2)
    np.testing.assert_array_equal(back[..., 1], heatmap[1])


@pytest.mark.parametrize("compress", [False, True])
def test_a_written_nrrd_file_lies_where_the_nifti_file_lies(tmp_path: Path, compress: bool) -> None:
    volume = Volume(_grey(), _AFFINE)
    write_volume(tmp_path / "new" / "out.nrrd", volume, compress=compress)
    write_volume(tmp_path / "out.nii", volume)
    nifti, back = read_scan(tmp_path / "out.nii"), read_scan(tmp_path / "new" / "out.nrrd")
    np.testing.assert_array_equal(back.array, volume.array)
    np.testing.assert_allclose(back.affine, nifti.affine, atol=1e-5)
    header = nrrd.read_header(str(tmp_path / "new" / "out.nrrd"))
    assert header["encoding"] == ("gzip" if compress else "raw")
    assert header["kinds"] == ["domain"] * 3
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["out.nrrd"]


def test_channels_are_written_first_in_nrrd(tmp_path: Path) -> None:
    heatmap = _grey((2, 4, 5, 6))
    write_volume(tmp_path / "heatmap.nrrd", Volume(heatmap, _AFFINE))
    array, header = nrrd.read(str(tmp_path / "heatmap.nrrd"))
    np.testing.assert_array_equal(array, heatmap)
    assert header["kinds"] == ["list", "domain", "domain", "domain"]
    np.testing.assert_allclose(header["space directions"][1:], (np.diag([-1, -1, 1]) @ _AFFINE[:3, :3]).T)


def test_writing_over_a_file_keeps_the_old_one_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.nii.gz"
    write_volume(path, Volume(_grey(), _AFFINE))
    before = path.read_bytes()

    def fail_half_way(image: object, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lib.images.files.nib.save", fail_half_way)
    with pytest.raises(StorageError, match="No space left on device"):
        write_volume(path, Volume(_grey() + 1, _AFFINE))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/b/hippocampus_001.nii.gz", "hippocampus_001"),
        ("scan.NII.GZ", "scan"),
        ("1.2.840.113.nii", "1.2.840.113"),
        ("x.nrrd", "x"),
        ("no_suffix", "no_suffix"),
        ("x.nii.gz.nii", "x.nii.gz"),
    ],
)
def test_a_scan_is_named_after_its_file(path: str, name: str) -> None:
    assert scan_name(Path(path)) == name
