import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom import Dataset

from lib.dicom.parametric_map import parametric_map
from lib.dicom.series import series_grid
from lib.errors import InputError
from tests.apps.servers.running_orthanc import RunningOrthanc
from tests.lib.dicom.series_examples import AFFINES, GEOMETRIES, SHAPE, make_series


def make_heatmap(seed: int = 0) -> np.ndarray:
    heatmap = np.random.default_rng(seed).random(SHAPE, dtype=np.float32)
    heatmap[0, 0, 0], heatmap[1, 0, 0] = 0, 1
    return heatmap


def write(heatmap: np.ndarray, headers: list[Dataset], file: Path) -> Dataset:
    parametric_map(heatmap, headers, class_name="Tumour", generation="g-7").save_as(file, write_like_original=False)
    return pydicom.dcmread(file)


@pytest.mark.parametrize(("name", "descending"), GEOMETRIES)
def test_each_probability_lies_on_its_image(name: str, descending: bool, tmp_path: Path) -> None:
    headers = make_series(AFFINES[name], descending=descending)
    heatmap = make_heatmap()
    read = write(heatmap, headers, tmp_path / "map.dcm")
    grid = series_grid(headers)
    by_position = {tuple(header.ImagePositionPatient): header.SOPInstanceUID for header in headers}
    seen = []
    for pixels, frame in zip(read.pixel_array, read.PerFrameFunctionalGroupsSequence, strict=True):
        position = tuple(frame.PlanePositionSequence[0].ImagePositionPatient)
        index = grid.sop_instance_uids.index(by_position[position])
        np.testing.assert_array_equal(pixels, heatmap[:, :, index].T)
        assert frame.FrameContentSequence[0].DimensionIndexValues == index + 1
        seen.append(index)
    assert sorted(seen) == list(range(SHAPE[2]))
    (shared,) = read.SharedFunctionalGroupsSequence
    np.testing.assert_allclose(
        shared.PlaneOrientationSequence[0].ImageOrientationPatient, headers[0].ImageOrientationPatient, atol=1e-9
    )
    assert shared.PixelMeasuresSequence[0].PixelSpacing == headers[0].PixelSpacing


def test_what_it_says_about_itself(tmp_path: Path) -> None:
    headers = make_series()
    read = write(make_heatmap(), headers, tmp_path / "map.dcm")
    assert read.SOPClassUID.name == "Parametric Map Storage"
    assert (read.SeriesDescription, read.ContentLabel) == ("Heatmap of Tumour", "HEATMAP")
    assert read.ContentDescription == "Probability of Tumour, generation g-7"
    assert read.ContentCreatorName in ("", None)
    for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert read.get(keyword) == headers[0].get(keyword)
    (reference,) = read.ReferencedSeriesSequence
    assert reference.SeriesInstanceUID == headers[0].SeriesInstanceUID
    referenced = {one.ReferencedSOPInstanceUID for one in reference.ReferencedInstanceSequence}
    assert referenced == {header.SOPInstanceUID for header in headers}
    (mapping,) = read.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    (unit,) = mapping.MeasurementUnitsCodeSequence
    assert (unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning) == ("1", "UCUM", "probability")
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    assert mapping.LUTExplanation == "Probability of Tumour"


def test_dcmqi_reads_it(tmp_path: Path) -> None:
    headers = make_series(AFFINES["oblique"])
    heatmap = make_heatmap(1)
    write(heatmap, headers, tmp_path / "map.dcm")
    program = Path(sys.executable).parent / "paramap2itkimage"
    done = subprocess.run(
        [program, "--inputDICOM", tmp_path / "map.dcm", "--outputDirectory", tmp_path, "-n", "read"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    image = sitk.ReadImage(str(tmp_path / "read-pmap.nrrd"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).T, heatmap)
    corner = image.TransformIndexToPhysicalPoint((6, 4, 5))
    np.testing.assert_allclose(series_grid(headers).indices(np.array([corner])), [[6, 4, 5]], atol=1e-4)


def test_orthanc_takes_it_made_of_the_headers_that_it_gives(tmp_path: Path) -> None:
    headers = make_series(AFFINES["coronal"], modality="MR")
    with RunningOrthanc(tmp_path / "orthanc") as orthanc:
        orthanc.store(headers)
        client = orthanc.client()
        uids = headers[0].StudyInstanceUID, headers[0].SeriesInstanceUID
        given = [Dataset.from_json(one) for one in client.retrieve_series_metadata(*uids)]
        made = parametric_map(make_heatmap(2), given, class_name="Tumour", generation="g-7")
        orthanc.store([made])
        (stored,) = client.retrieve_series(uids[0], made.SeriesInstanceUID)
    np.testing.assert_array_equal(stored.pixel_array, make_heatmap(2).T)


def test_what_is_no_heatmap_of_the_series_is_refused() -> None:
    headers = make_series()
    uid = headers[0].SeriesInstanceUID
    for heatmap, message in (
        (make_heatmap().T, rf"heatmap of series {uid}: has shape \(6, 5, 7\), the series \(7, 5, 6\)"),
        (make_heatmap() * 2, "holds values from 0 to 2; give probabilities, 0 to 1"),
        (make_heatmap() - 0.5, r"holds values from -0\.5 to 0\.5; give probabilities"),
        (make_heatmap() * np.nan, "holds values from nan to nan; give probabilities"),
    ):
        with pytest.raises(InputError, match=message):
            parametric_map(heatmap, headers, class_name="Tumour", generation="g-7")


def test_long_names_fit() -> None:
    made = parametric_map(make_heatmap(), make_series(), class_name="n" * 64, generation="g" * 30)
    assert made.SeriesDescription == f"Heatmap of {'n' * 53}"
