import itertools
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813

from lib.dicom.series_writer import series_datasets
from lib.errors import InputError
from lib.images.volume import Volume
from tests.lib.dicom.series_examples import (
    AFFINES,
    GEOMETRIES,
    make_scan,
    make_series,
    world_positions,
    write_files,
)


def pixel_positions(image: pydicom.Dataset) -> np.ndarray:
    """RAS millimetres of each pixel, shape (rows, columns, 3), by equation C.7.6.2.1-1 of the standard."""
    row, column = np.array(image.ImageOrientationPatient[:3]), np.array(image.ImageOrientationPatient[3:])
    down, across = image.PixelSpacing
    positions = np.empty((image.Rows, image.Columns, 3))
    for r, c in itertools.product(range(image.Rows), range(image.Columns)):
        positions[r, c] = np.array(image.ImagePositionPatient) + row * across * c + column * down * r
    return positions * (-1, -1, 1)


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize(("name", "descending"), GEOMETRIES)
def test_each_grey_value_lies_where_it_lay(name: str, descending: bool, modality: str, tmp_path: Path) -> None:
    scan = make_scan(AFFINES[name])
    files = write_files(make_series(AFFINES[name], descending=descending, modality=modality), tmp_path)
    expected = dict(zip(scan.array.ravel(), world_positions(scan).reshape(-1, 3), strict=True))
    seen = 0
    for image in map(pydicom.dcmread, files):
        values = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
        for value, place in zip(values.ravel(), pixel_positions(image).reshape(-1, 3), strict=True):
            np.testing.assert_allclose(place, expected[value], atol=1e-5)
            seen += 1
    assert seen == scan.array.size


@pytest.mark.parametrize(("name", "descending"), GEOMETRIES)
def test_instance_numbers_follow_the_normal_or_run_against_it(name: str, descending: bool) -> None:
    images = sorted(make_series(AFFINES[name], descending=descending), key=lambda image: image.InstanceNumber)
    orientation = np.array(images[0].ImageOrientationPatient)
    normal = np.cross(orientation[:3], orientation[3:])
    steps = np.diff([np.array(image.ImagePositionPatient) @ normal for image in images])
    assert (steps < 0).all() if descending else (steps > 0).all()
    assert [image.InstanceNumber for image in images] == [1, 2, 3, 4, 5, 6]


def test_writing_twice_gives_the_same_files(tmp_path: Path) -> None:
    folders = tmp_path / "first", tmp_path / "second"
    for folder in folders:
        folder.mkdir()
        write_files(make_series(), folder)
    first, second = ({file.name: file.read_bytes() for file in folder.iterdir()} for folder in folders)
    assert first == second


def test_uids_depend_on_entropy_and_patient() -> None:
    def uids(entropy: str, patient: str) -> set[str]:
        images = series_datasets(make_scan(), modality="CT", patient_id=patient, entropy=entropy)
        first = images[0]
        return {first.StudyInstanceUID, first.SeriesInstanceUID, first.FrameOfReferenceUID} | {
            image.SOPInstanceUID for image in images
        }

    sets = [uids("a", "1"), uids("b", "1"), uids("a", "2"), uids("1", "a")]
    assert all(len(one) == 9 for one in sets)
    assert len(set.union(*sets)) == 36


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_all_that_the_standard_demands_is_there(modality: str) -> None:
    from highdicom._iods import IOD_MODULE_MAP, SOP_CLASS_UID_IOD_KEY_MAP
    from highdicom._modules import MODULE_ATTRIBUTE_MAP

    (image, *_) = make_series(modality=modality)
    for module in IOD_MODULE_MAP[SOP_CLASS_UID_IOD_KEY_MAP[image.SOPClassUID]]:
        if module["usage"] != "M":
            continue
        for attribute in MODULE_ATTRIBUTE_MAP[module["key"]]:
            if attribute["path"] == [] and attribute["type"] in ("1", "2"):
                assert attribute["keyword"] in image, (module["key"], attribute)
                assert attribute["type"] == "2" or image.get(attribute["keyword"]) not in (None, ""), attribute


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_fractions_come_back_within_half_a_step(modality: str, tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(0, 3e-3, (6, 4, 3)).astype(np.float32)
    images = series_datasets(Volume(array, np.eye(4)), modality=modality, patient_id="p", entropy="e")
    step = float(array.max() - array.min()) / 65535
    for index, file in enumerate(sorted(write_files(images, tmp_path), key=lambda file: int(file.stem[-1]))):
        read = sitk.GetArrayFromImage(sitk.ReadImage(str(file), sitk.sitkFloat64))[0].T
        assert np.abs(read - array[:, :, index]).max() <= step * 0.5001


@pytest.mark.parametrize(
    ("values", "kind"), [((0, 65535), 0), ((-32768, 32767), 1), ((-1, 3), 1), ((7, 7), 0), ((-40000, 9), None)]
)
def test_whole_values_that_fit_are_kept_as_they_are(values: tuple[int, int], kind: int | None) -> None:
    array = np.array(values, np.float64).reshape(2, 1, 1)
    (image,) = series_datasets(Volume(array, np.eye(4)), modality="CT", patient_id="p", entropy="e")
    if kind is not None:
        assert (image.RescaleSlope, image.RescaleIntercept, image.PixelRepresentation) == (1, 0, kind)
    read = image.pixel_array[0] * float(image.RescaleSlope) + float(image.RescaleIntercept)
    np.testing.assert_allclose(read, values, atol=0 if kind is not None else 0.5)


def test_one_voxel_is_a_series() -> None:
    (image,) = series_datasets(Volume(np.full((1, 1, 1), 0.5), np.eye(4)), modality="MR", patient_id="", entropy="e")
    assert image.pixel_array.shape == (1, 1)
    assert image.pixel_array[0, 0] * float(image.RescaleSlope) + float(image.RescaleIntercept) == 0.5


def test_what_cannot_be_written_is_refused() -> None:
    scan = make_scan()
    with pytest.raises(InputError, match="'US': cannot be written; give CT or MR"):
        series_datasets(scan, modality="US", patient_id="p", entropy="e")
    sheared = scan.affine.copy()
    sheared[0, 2] = 0.1
    with pytest.raises(InputError, match=r"is sheared, the cosine between two axes is 0\.0995"):
        series_datasets(Volume(scan.array, sheared), modality="CT", patient_id="p", entropy="e")
    with pytest.raises(InputError, match="NaN or infinite"):
        series_datasets(Volume(scan.array * np.nan, scan.affine), modality="CT", patient_id="p", entropy="e")
