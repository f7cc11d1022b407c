from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pydicom_seg
import pytest
from highdicom.seg import Segmentation, segread
from pydicom import Dataset

from lib.dicom.segmentation_reader import read_segmentation
from lib.dicom.segmentation_writer import segmentation_dataset
from lib.dicom.series import series_grid
from lib.errors import InputError
from tests.apps.servers.running_orthanc import RunningOrthanc
from tests.lib.dicom.dcmqi import on_grid, read_with_dcmqi
from tests.lib.dicom.series_examples import AFFINES, COLOURS, GEOMETRIES, LABELS, SHAPE, make_label, make_series


def write(label: np.ndarray, headers: list[Dataset], file: Path, **options: str) -> Path:
    dataset = segmentation_dataset(label, headers, labels=LABELS, colours=COLOURS, **options)
    dataset.save_as(file, write_like_original=False)
    return file


@pytest.mark.parametrize(("name", "descending"), GEOMETRIES)
def test_dcmqi_reads_what_was_written(name: str, descending: bool, tmp_path: Path) -> None:
    headers = make_series(AFFINES[name], descending=descending)
    label = make_label(1)
    file = write(label, headers, tmp_path / "seg.dcm")
    segments, attributes = read_with_dcmqi(file, tmp_path / "read", series_grid(headers))
    assert list(segments) == list(LABELS)
    for segment, found in segments.items():
        np.testing.assert_array_equal(found, label == LABELS[segment])
    for one in attributes:
        shown = one["recommendedDisplayRGBValue"]
        np.testing.assert_allclose(shown, COLOURS[one["SegmentLabel"]], atol=1)


@pytest.mark.parametrize(("name", "descending"), GEOMETRIES)
def test_pydicom_seg_reads_what_was_written(name: str, descending: bool, tmp_path: Path) -> None:
    headers = make_series(AFFINES[name], descending=descending)
    label = make_label(2)
    result = pydicom_seg.SegmentReader().read(pydicom.dcmread(write(label, headers, tmp_path / "seg.dcm")))
    assert result.referenced_series_uid == headers[0].SeriesInstanceUID
    for number, segment in result.segment_infos.items():
        found = on_grid(result.segment_image(number), series_grid(headers))
        np.testing.assert_array_equal(found, label == LABELS[segment.SegmentLabel])


@pytest.mark.parametrize(("name", "descending"), GEOMETRIES)
def test_highdicom_finds_the_frames_of_each_image(name: str, descending: bool, tmp_path: Path) -> None:
    headers = make_series(AFFINES[name], descending=descending)
    label = make_label(3)
    label[:, :, 2] = 0
    segmentation = segread(write(label, headers, tmp_path / "seg.dcm"))
    uids = series_grid(headers).sop_instance_uids
    pixels = segmentation.get_pixels_by_source_instance(
        uids, ignore_spatial_locations=False, assert_missing_frames_are_empty=True
    )
    for number in segmentation.segment_numbers:
        value = LABELS[segmentation.get_segment_description(number).segment_label]
        np.testing.assert_array_equal(pixels[..., number - 1], (label == value).T)


def test_segments_are_the_classes_that_are_there(tmp_path: Path) -> None:
    label = np.zeros(SHAPE, np.uint8)
    label[3, 2, 1], label[4, 2, 5] = LABELS["cyst"], LABELS["Tumour"]
    segmentation = segread(write(label, make_series(), tmp_path / "seg.dcm"))
    found = [(segment.SegmentNumber, segment.SegmentLabel) for segment in segmentation.SegmentSequence]
    assert found == [(1, "Tumour"), (2, "cyst")]
    assert segmentation.NumberOfFrames == 2


def test_an_empty_label_describes_all_classes_and_is_read_as_empty(tmp_path: Path) -> None:
    headers = make_series()
    label = np.zeros(SHAPE, np.uint8)
    file = write(label, headers, tmp_path / "seg.dcm")
    segmentation = segread(file)
    assert [segment.SegmentLabel for segment in segmentation.SegmentSequence] == list(LABELS)
    segments, _ = read_with_dcmqi(file, tmp_path / "read", series_grid(headers))
    assert not any(found.any() for found in segments.values())
    assert not read_segmentation(segmentation, series_grid(headers), labels=LABELS).any()


def test_what_it_says_about_itself(tmp_path: Path) -> None:
    headers = make_series()
    before = datetime.now()
    by_hand = segread(write(make_label(4), headers, tmp_path / "a.dcm", creator="ann", description="of ann"))
    corrected = segread(write(make_label(4), headers, tmp_path / "b.dcm", generation="g-7"))
    assert (
        before <= datetime.strptime(f"{by_hand.ContentDate}{by_hand.ContentTime}", "%Y%m%d%H%M%S.%f") <= datetime.now()
    )
    assert (by_hand.SeriesDescription, by_hand.ContentCreatorName, by_hand.Modality) == ("of ann", "ann^", "SEG")
    assert corrected.ContentCreatorName in ("", None)
    assert {segment.SegmentAlgorithmType for segment in by_hand.SegmentSequence} == {"MANUAL"}
    for segment in corrected.SegmentSequence:
        assert segment.SegmentAlgorithmType == "SEMIAUTOMATIC"
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("Calibrated ensemble", "g-7")
    for one in by_hand, corrected:
        for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID", "StudyDate"):
            assert str(one.get(keyword)) == str(headers[0].get(keyword))
        (reference,) = one.ReferencedSeriesSequence
        assert reference.SeriesInstanceUID == headers[0].SeriesInstanceUID
        assert len(reference.ReferencedInstanceSequence) == SHAPE[2]
    assert len({headers[0].SeriesInstanceUID, by_hand.SeriesInstanceUID, corrected.SeriesInstanceUID}) == 3


@pytest.mark.parametrize("character_set", ["ISO_IR 100", "ISO_IR 192"])
def test_names_keep_their_letters(character_set: str, tmp_path: Path) -> None:
    headers = make_series()
    for header in headers:
        header.SpecificCharacterSet = character_set
        header.PatientName = "Müller^Jürgen"
    header_file = tmp_path / "image.dcm"
    headers[0].save_as(header_file, write_like_original=False)
    headers[0] = pydicom.dcmread(header_file)
    label = np.ones(SHAPE, np.uint8)
    dataset = segmentation_dataset(label, headers, labels={"Geschwür": 1}, colours={"Geschwür": (1, 2, 3)})
    dataset.save_as(tmp_path / "seg.dcm", write_like_original=False)
    read = pydicom.dcmread(tmp_path / "seg.dcm")
    assert read.SpecificCharacterSet == "ISO_IR 192"
    assert (str(read.PatientName), read.SegmentSequence[0].SegmentLabel) == ("Müller^Jürgen", "Geschwür")
    np.testing.assert_array_equal(read_segmentation(read, series_grid(headers), labels={"Geschwür": 1}), label)


def test_headers_are_left_as_they_were() -> None:
    headers = make_series()
    for header in headers:
        header.PatientSex = "U"
        del header.SliceThickness, header.AccessionNumber
    before = [header.to_json() for header in headers]
    segmentation = segmentation_dataset(make_label(5), headers, labels=LABELS, colours=COLOURS)
    segmentation.PatientName = "Someone^Else"
    assert [header.to_json() for header in headers] == before


def test_orthanc_takes_a_segmentation_of_the_headers_that_it_gives(tmp_path: Path) -> None:
    headers = make_series(AFFINES["oblique"], modality="MR")
    label = make_label(6)
    with RunningOrthanc(tmp_path / "orthanc") as orthanc:
        orthanc.store(headers)
        client = orthanc.client()
        uids = headers[0].StudyInstanceUID, headers[0].SeriesInstanceUID
        given = [Dataset.from_json(one) for one in client.retrieve_series_metadata(*uids)]
        segmentation = segmentation_dataset(label, given, labels=LABELS, colours=COLOURS)
        orthanc.store([segmentation])
        (stored,) = client.retrieve_series(uids[0], segmentation.SeriesInstanceUID)
    found = read_segmentation(stored, series_grid(headers), labels=LABELS)
    np.testing.assert_array_equal(found, label)
    assert isinstance(Segmentation.from_dataset(stored), Segmentation)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (np.zeros((5, 7, 6), np.uint8), r"label of series [\d.]+: has shape \(5, 7, 6\), the series \(7, 5, 6\)"),
        (np.full(SHAPE, 3, np.uint8), r"label of series [\d.]+: the label holds the unknown class 3; the task knows"),
    ],
)
def test_a_label_that_is_not_of_the_series_or_task_is_refused(label: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        segmentation_dataset(label, make_series(), labels=LABELS, colours=COLOURS)


def test_a_header_without_its_study_is_refused() -> None:
    headers = make_series()
    del headers[1].StudyInstanceUID
    with pytest.raises(InputError, match="has no StudyInstanceUID; send the series with complete headers"):
        segmentation_dataset(make_label(0), headers, labels=LABELS, colours=COLOURS)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientBirthDate", "00000000"),
        ("PatientBirthDate", "1970-01-01"),
        ("PatientBirthDate", "19701301"),
        ("StudyDate", "unknown"),
        ("StudyTime", "12:30:00"),
        ("StudyTime", "250000"),
        ("PatientBirthTime", "noon"),
        ("PatientSex", "W"),
        ("StudyDate", ["20200101", "20200102"]),
        ("PatientName", ["A^B", "C^D"]),
    ],
)
@pytest.mark.parametrize("way", ["file", "dicomweb"])
def test_a_header_value_that_may_be_empty_and_cannot_be_read_becomes_empty(
    keyword: str, value: str | list[str], way: str, tmp_path: Path
) -> None:
    series = make_series()
    for image in series:
        setattr(image, keyword, value)
    headers = series if way == "file" else [Dataset.from_json(image.to_json_dict()) for image in series]
    written = pydicom.dcmread(write(make_label(1), headers, tmp_path / "seg.dcm"))
    expected = "A^B" if keyword == "PatientName" else "20200101" if isinstance(value, list) else ""
    assert str(written.get(keyword) or "") == expected
    assert written.StudyInstanceUID == series[0].StudyInstanceUID
