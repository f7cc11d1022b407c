import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from highdicom.frame import encode_frame
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless

from lib.dicom.series import read_headers, read_series, series_grid
from lib.dicom.series_writer import series_datasets
from lib.errors import InputError
from lib.images.volume import Volume
from tests.lib.dicom.series_examples import (
    AFFINES,
    GEOMETRIES,
    SHAPE,
    make_scan,
    make_series,
    world_positions,
    write_files,
)

DATA = Path(os.environ.get("CALIBRATED_ENSEMBLE_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
REAL = DATA / "hippocampus_dicom"


def from_dicomweb(headers: list[Dataset]) -> list[Dataset]:
    """Headers as a PACS answers them: without pixels and file meta information."""
    answers = []
    for header in headers:
        header = Dataset(header)
        del header.PixelData
        answers.append(Dataset.from_json(header.to_json()))
    return answers


@pytest.mark.parametrize(("name", "descending"), GEOMETRIES)
def test_voxels_are_read_where_they_lay(name: str, descending: bool, tmp_path: Path) -> None:
    scan = make_scan(AFFINES[name])
    volume, grid = read_series(write_files(make_series(AFFINES[name], descending=descending), tmp_path))
    assert volume.shape == grid.shape == SHAPE
    expected = dict(zip(scan.array.ravel().tolist(), world_positions(scan).reshape(-1, 3), strict=True))
    places = np.array([expected[value] for value in volume.array.ravel().tolist()])
    np.testing.assert_allclose(world_positions(volume).reshape(-1, 3), places, atol=1e-5)


@pytest.mark.parametrize("name", AFFINES)
def test_slices_follow_row_times_column_whatever_the_order_of_images(name: str) -> None:
    headers = make_series(AFFINES[name])
    expected = series_grid(headers)
    random.Random(0).shuffle(headers)
    grid = series_grid(from_dicomweb(headers))
    assert grid.sop_instance_uids == expected.sop_instance_uids
    np.testing.assert_allclose(grid.affine, expected.affine, atol=1e-9)
    lps = np.diag([-1, -1, 1]) @ grid.affine[:3, :3]
    assert np.linalg.det(lps) > 0
    np.testing.assert_allclose(grid.spacing, Volume(np.empty(SHAPE), AFFINES[name]).spacing, atol=1e-6)


def test_positions_become_indices() -> None:
    grid = series_grid(make_series(AFFINES["oblique"]))
    ras = np.array([[1.5, 2, -3], [0, 0, 0]]) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    np.testing.assert_allclose(grid.indices(ras * (-1, -1, 1)), [[1.5, 2, -3], [0, 0, 0]], atol=1e-9)


@given(st.integers(2, 40), st.floats(0.3, 12), st.data())
def test_any_missing_inner_slice_is_noticed(count: int, gap: float, data: st.DataObject) -> None:
    affine = np.diag([0.5, 0.5, gap, 1.0])
    headers = series_datasets(Volume(np.zeros((2, 2, count)), affine), modality="CT", patient_id="p", entropy="e")
    assert series_grid(headers).spacing[2] == pytest.approx(gap)
    if count > 3:
        del headers[data.draw(st.integers(1, count - 2))]
        with pytest.raises(InputError, match="mm apart; send the missing slices"):
            series_grid(headers)


@given(st.lists(st.floats(-0.05, 0.05), min_size=6, max_size=6))
def test_rounded_positions_are_no_missing_slices(offsets: list[float]) -> None:
    headers = make_series()
    for header, offset in zip(headers, offsets, strict=True):
        header.ImagePositionPatient[2] += offset
    assert series_grid(headers).shape == SHAPE


@pytest.mark.parametrize("keyword", ["SpacingBetweenSlices", "SliceThickness"])
def test_a_single_slice_is_as_thick_as_it_says(keyword: str, tmp_path: Path) -> None:
    (header,) = make_series(AFFINES["anisotropic"], shape=(7, 5, 1))
    del header.SpacingBetweenSlices, header.SliceThickness
    setattr(header, keyword, 4)
    volume, grid = read_series(write_files([header], tmp_path))
    assert grid.spacing == pytest.approx((0.78125, 0.9, 4))
    assert volume.shape == (7, 5, 1)


def change(headers: list[Dataset], keyword: str, value: object) -> None:
    setattr(headers[2], keyword, value)


DAMAGE: dict[str, tuple[Callable[[list[Dataset]], object], str]] = {
    "no images": (lambda headers: headers.clear(), "series: has no images"),
    "two series": (lambda headers: change(headers, "SeriesInstanceUID", "1.2.3"), "its images name 2 series"),
    "no position": (lambda headers: delattr(headers[2], "ImagePositionPatient"), "has no geometry, ImagePositionPati"),
    "empty position": (lambda headers: change(headers, "ImagePositionPatient", None), "has no geometry"),
    "no spacing": (lambda headers: delattr(headers[0], "PixelSpacing"), "has no geometry, PixelSpacing holds 0 num"),
    "half an orientation": (lambda headers: change(headers, "ImageOrientationPatient", [1, 0, 0]), "has no geometry"),
    "a localiser": (
        lambda headers: change(headers, "ImageOrientationPatient", [0, 1, 0, 0, 0, -1]),
        "images of different orientations, such as",
    ),
    "another spacing": (lambda headers: change(headers, "PixelSpacing", [1, 1.1]), "images of different pixel spacin"),
    "another size": (lambda headers: change(headers, "Rows", 6), "images of different sizes, such as [5.0, 7.0]"),
    "skewed axes": (
        lambda headers: [setattr(header, "ImageOrientationPatient", [1, 0, 0, 0.6, 0.8, 0]) for header in headers],
        "which are no grid",
    ),
    "no extent": (
        lambda headers: [setattr(header, "PixelSpacing", [0, 1]) for header in headers],
        "spacing [0.0, 1.0], which are no grid",
    ),
    "an image twice": (lambda headers: headers.append(headers[2]), "has 7 images and 6 SOPInstanceUIDs; give each"),
    "no name": (lambda headers: delattr(headers[1], "SOPInstanceUID"), "has 6 images and 5 SOPInstanceUIDs"),
    "a position that is no number": (
        lambda headers: headers[2].add(RawDataElement(Tag(0x0020, 0x0032), "DS", 8, b"a\\b\\c ", 0, False, True)),
        "has no geometry, ImagePositionPatient holds 0 numbers, not 3",
    ),
    "a repetition": (
        lambda headers: change(headers, "ImagePositionPatient", headers[3].ImagePositionPatient),
        "two images at one place",
    ),
    "a missing slice": (lambda headers: headers.pop(3), "slices lie 1.000 to 2.000 mm apart; send the missing slices"),
    "a tilted gantry": (
        lambda headers: [
            setattr(header, "ImagePositionPatient", [0, index * 0.2, index]) for index, header in enumerate(headers)
        ],
        "shifted sideways by up to 1.0 pixels",
    ),
    "two frames of reference": (lambda headers: change(headers, "FrameOfReferenceUID", "1.2"), "2 frames of reference"),
    "frames": (lambda headers: change(headers, "NumberOfFrames", 2), "multi-frame objects, which are not supported"),
    "functional groups": (
        lambda headers: change(headers, "SharedFunctionalGroupsSequence", [Dataset()]),
        "multi-frame objects, which are not supported",
    ),
    "one slice of no thickness": (
        lambda headers: (
            (headers.__delitem__(slice(1, None)), headers[0].pop("SliceThickness"))
            and headers[0].pop("SpacingBetweenSlices")
        ),
        "has one image without SliceThickness",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_no_even_stack_is_refused_by_name(what: str) -> None:
    headers = make_series()
    uid = headers[0].SeriesInstanceUID
    damage, message = DAMAGE[what]
    damage(headers)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        series_grid(headers)
    assert "\n" not in str(caught.value)
    assert not headers or uid in str(caught.value) or "1.2.3" in str(caught.value)


def test_a_slope_for_each_slice_is_heeded(tmp_path: Path) -> None:
    headers = make_series(modality="MR")
    raw = np.stack([header.pixel_array.T for header in headers], axis=-1).astype(float)
    slopes, intercepts = np.array([1, 0.25, 3, 1, 1.5, 2]), np.array([0, 0.5, -10, 2, 0, 0])
    for header, slope, intercept in zip(headers, slopes, intercepts, strict=True):
        header.RescaleSlope, header.RescaleIntercept = slope, intercept
    volume, grid = read_series(write_files(headers, tmp_path))
    uids = [header.SOPInstanceUID for header in headers]
    order = [uids.index(uid) for uid in grid.sop_instance_uids]
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, (raw * slopes + intercepts)[:, :, order])


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_compressed_pixels_are_read(syntax: UID, tmp_path: Path) -> None:
    scan = make_scan(shape=(8, 6, 3))
    scan = Volume(scan.array + 100, scan.affine)
    headers = series_datasets(scan, modality="CT", patient_id="p", entropy="e")
    expected, _ = read_series(write_files(headers, tmp_path))
    for header in headers:
        header.PixelData = encapsulate([encode_frame(header.pixel_array, syntax, 16, 16, "MONOCHROME2")])
        header["PixelData"].is_undefined_length = True
        header.file_meta.TransferSyntaxUID = syntax
    volume, _ = read_series(write_files(headers, tmp_path))
    np.testing.assert_array_equal(volume.array, expected.array)
    np.testing.assert_array_equal(np.sort(volume.array.ravel()), np.arange(8 * 6 * 3))


def test_files_that_are_no_images_of_a_scan_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.dcm: cannot be read"):
        read_headers([tmp_path / "absent.dcm"])
    (tmp_path / "text.dcm").write_text("no DICOM")
    with pytest.raises(InputError, match=r"text\.dcm: is no DICOM file"):
        read_headers([tmp_path / "text.dcm"])
    headers = make_series()
    del headers[3].PixelData
    with pytest.raises(InputError, match=f"series {headers[0].SeriesInstanceUID}: its pixels cannot be decoded"):
        read_series(write_files(headers, tmp_path))
    for header in (colours := make_series()):
        header.SamplesPerPixel = 3
    with pytest.raises(InputError, match="holds colours"):
        read_series(write_files(colours, tmp_path))


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real series in {DATA} (CALIBRATED_ENSEMBLE_DATA)")
@pytest.mark.parametrize("study", ["study1", "study2", "study3"])
def test_real_series_are_read_voxel_by_voxel(study: str) -> None:
    volume, grid = read_series(list((REAL / study).iterdir()))
    images = {image.SOPInstanceUID: image for image in map(pydicom.dcmread, (REAL / study).iterdir())}
    assert len(images) == volume.shape[2]
    for index, uid in enumerate(grid.sop_instance_uids):
        image = images[uid]
        expected = image.pixel_array * float(image.get("RescaleSlope", 1)) + float(image.get("RescaleIntercept", 0))
        np.testing.assert_allclose(volume.array[:, :, index].T, expected, rtol=1e-6)
        np.testing.assert_allclose(grid.indices(np.array([image.ImagePositionPatient])), [[0, 0, index]], atol=1e-3)
