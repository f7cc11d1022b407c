import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pydicom
import pytest
from highdicom.frame import encode_frame
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEG2000Lossless, RLELossless

from lib.dicom.segmentation_reader import LABEL_MAP_STORAGE, read_segmentation
from lib.dicom.segmentation_writer import segmentation_dataset
from lib.dicom.series import series_grid
from lib.errors import InputError
from lib.images.volume import Volume
from tests.lib.dicom.dcmqi import write_with_dcmqi
from tests.lib.dicom.series_examples import (
    AFFINES,
    COLOURS,
    GEOMETRIES,
    LABELS,
    SHAPE,
    make_label,
    make_series,
    write_files,
)

HEADERS = make_series(AFFINES["oblique"])
GRID = series_grid(HEADERS)


def written(label: np.ndarray, headers: list[Dataset] = HEADERS) -> Dataset:
    return segmentation_dataset(label, headers, labels=LABELS, colours=COLOURS)


def label_map(label: np.ndarray, *, bits: int = 8, numbers: Mapping[str, int] = LABELS) -> Dataset:
    """A label map segmentation, whose pixels are segment numbers, made by hand of a binary one of all classes."""
    dataset = written(np.zeros_like(label))
    dataset.SOPClassUID, dataset.SegmentationType = LABEL_MAP_STORAGE, "LABELMAP"
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.NumberOfFrames = bits - 1, label.shape[2]
    table = np.zeros(256, dtype=f"<u{bits // 8}")
    for segment in dataset.SegmentSequence:
        segment.SegmentNumber = numbers[segment.SegmentLabel]
        table[LABELS[segment.SegmentLabel]] = segment.SegmentNumber
    by_instance = {header.SOPInstanceUID: header for header in HEADERS}
    frames = []
    for uid in GRID.sop_instance_uids:
        frame, position = Dataset(), Dataset()
        position.ImagePositionPatient = by_instance[uid].ImagePositionPatient
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    pixels = table[label].T.tobytes()
    dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
    return dataset


def compress(dataset: Dataset, frames: np.ndarray, syntax: UID, bits: int) -> None:
    encoded = [encode_frame(frame, syntax, bits, bits, "MONOCHROME2") for frame in frames]
    dataset.PixelData = encapsulate(encoded)
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.file_meta.TransferSyntaxUID = syntax


def binary_frames(dataset: Dataset) -> np.ndarray:
    """Bits of a binary segmentation as the standard packs them, one by one; shape (frames, rows, columns)."""
    size = dataset.NumberOfFrames * dataset.Rows * dataset.Columns
    bits = [(dataset.PixelData[index // 8] >> (index % 8)) & 1 for index in range(size)]
    return np.array(bits, np.uint8).reshape(dataset.NumberOfFrames, dataset.Rows, dataset.Columns)


def fill_up_frames(dataset: Dataset) -> None:
    """Let each frame begin with a byte of its own, as the stock export of OHIF does."""
    content = bytearray()
    for frame in binary_frames(dataset):
        bits = "".join(str(bit) for bit in frame.ravel())
        content += b"".join(int(bits[at : at + 8][::-1], 2).to_bytes(1, "little") for at in range(0, len(bits), 8))
    dataset.PixelData = bytes(content) + b"\0" * (len(content) % 2)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from(GEOMETRIES), st.tuples(*[st.integers(1, 6)] * 3))
def test_what_is_written_is_read(data: st.DataObject, geometry: tuple[str, bool], shape: tuple[int, int, int]) -> None:
    name, descending = geometry
    headers = make_series(AFFINES[name], shape=shape, descending=descending)
    label = data.draw(arrays(np.uint8, shape, elements=st.sampled_from([0, *LABELS.values()])))
    found = read_segmentation(written(label, headers), series_grid(headers), labels=LABELS)
    assert (found.dtype, found.shape) == (np.uint8, shape)
    np.testing.assert_array_equal(found, label)


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
@pytest.mark.parametrize(("name", "descending"), GEOMETRIES)
def test_what_dcmqi_writes_is_read(name: str, descending: bool, kind: str, tmp_path: Path) -> None:
    headers = make_series(AFFINES[name], descending=descending)
    grid, label = series_grid(headers), make_label(1)
    file = write_with_dcmqi(
        Volume(label, grid.affine), write_files(headers, tmp_path), tmp_path, labels=LABELS, kind=kind
    )
    dataset = pydicom.dcmread(file)
    assert (dataset.SOPClassUID == LABEL_MAP_STORAGE) == (kind == "labelmap")
    np.testing.assert_array_equal(read_segmentation(dataset, grid, labels=LABELS), label)


def test_what_dcmqi_deflates_is_read(tmp_path: Path) -> None:
    label = make_label(2)
    files = write_files(HEADERS, tmp_path)
    file = write_with_dcmqi(Volume(label, GRID.affine), files, tmp_path, labels=LABELS, compress="deflate")
    np.testing.assert_array_equal(read_segmentation(pydicom.dcmread(file), GRID, labels=LABELS), label)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEG2000Lossless])
def test_label_maps_are_read(bits: int, syntax: UID | None) -> None:
    numbers = {"Tumour": 3, "necrotic core": 1, "cyst": 255 if bits == 8 else 40000}
    label = make_label(3)
    dataset = label_map(label, bits=bits, numbers=numbers)
    if syntax is not None:
        frames = np.frombuffer(dataset.PixelData, f"<u{bits // 8}")[: label.size].reshape(label.T.shape)
        compress(dataset, frames, syntax, bits)
    np.testing.assert_array_equal(read_segmentation(dataset, GRID, labels=LABELS), label)


def test_the_background_of_a_label_map_may_be_a_segment_or_a_padding_value() -> None:
    label = make_label(4)
    dataset = label_map(label)
    background = Dataset()
    background.SegmentNumber, background.SegmentLabel = 0, "Background"
    dataset.SegmentSequence.append(background)
    np.testing.assert_array_equal(read_segmentation(dataset, GRID, labels=LABELS), label)
    pixels = np.frombuffer(dataset.PixelData, np.uint8).copy()
    pixels[: label.size][pixels[: label.size] == 0] = 77
    dataset.PixelData, dataset.PixelPaddingValue = pixels.tobytes(), 77
    np.testing.assert_array_equal(read_segmentation(dataset, GRID, labels=LABELS), label)


def test_segment_zero_of_a_label_map_may_be_a_class() -> None:
    dataset = label_map(make_label(5), numbers={"Tumour": 0, "necrotic core": 1, "cyst": 2})
    found = read_segmentation(dataset, GRID, labels=LABELS)
    expected = np.where(make_label(5) == 0, LABELS["Tumour"], make_label(5))
    np.testing.assert_array_equal(found, expected)


def test_frames_that_are_filled_up_to_bytes_are_read() -> None:
    label = make_label(6)
    dataset = written(label)
    standard = dataset.PixelData
    fill_up_frames(dataset)
    assert len(dataset.PixelData) > len(standard)
    np.testing.assert_array_equal(read_segmentation(dataset, GRID, labels=LABELS), label)


@pytest.mark.parametrize("bits", [1, 8])
def test_compressed_binary_frames_are_read(bits: int) -> None:
    label = make_label(7)
    dataset = written(label)
    frames = binary_frames(dataset)
    if bits == 1:
        fill_up_frames(dataset)
        frames = np.frombuffer(dataset.PixelData, np.uint8)[: len(frames) * 5].reshape(len(frames), 1, 5)
    compress(dataset, frames, RLELossless, 8)
    dataset.BitsAllocated = bits
    np.testing.assert_array_equal(read_segmentation(dataset, GRID, labels=LABELS), label)


def test_frames_may_come_in_any_order_and_for_some_slices_only() -> None:
    label = make_label(8)
    label[:, :, [0, 2, 3]] = 0
    dataset = written(label)
    frames = binary_frames(dataset)
    order = np.random.default_rng(0).permutation(len(frames))
    groups = list(dataset.PerFrameFunctionalGroupsSequence)
    for group in groups:
        del group.DerivationImageSequence, group.FrameContentSequence
    dataset.PerFrameFunctionalGroupsSequence = [groups[index] for index in order]
    dataset.PixelData = np.packbits(frames[order].ravel(), bitorder="little").tobytes()
    del dataset.ReferencedSeriesSequence, dataset.SourceImageSequence
    np.testing.assert_array_equal(read_segmentation(dataset, GRID, labels=LABELS), label)


def test_what_all_frames_share_may_stand_once() -> None:
    label = np.zeros(SHAPE, np.uint8)
    label[2:4, 1, 3] = LABELS["cyst"]
    dataset = written(label)
    (frame,), (shared,) = dataset.PerFrameFunctionalGroupsSequence, dataset.SharedFunctionalGroupsSequence
    for keyword in ("PlanePositionSequence", "SegmentIdentificationSequence"):
        shared.add(frame[keyword])
        delattr(frame, keyword)
    np.testing.assert_array_equal(read_segmentation(dataset, GRID, labels=LABELS), label)


def test_segments_are_matched_by_name_not_by_number() -> None:
    label = make_label(9)
    dataset = written(label)
    turned = {1: 3, 2: 1, 3: 2}
    for segment in dataset.SegmentSequence:
        segment.SegmentNumber = turned[segment.SegmentNumber]
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        identification = frame.SegmentIdentificationSequence[0]
        identification.ReferencedSegmentNumber = turned[identification.ReferencedSegmentNumber]
    np.testing.assert_array_equal(read_segmentation(dataset, GRID, labels=LABELS), label)


def test_two_segments_of_one_class_are_one() -> None:
    dataset = written(make_label(10))
    dataset.SegmentSequence[2].SegmentLabel = "tumour"
    found = read_segmentation(dataset, GRID, labels=LABELS)
    expected = np.where(make_label(10) == LABELS["cyst"], LABELS["Tumour"], make_label(10))
    np.testing.assert_array_equal(found, expected)


def shared_item(dataset: Dataset, sequence: str) -> Dataset:
    return dataset.SharedFunctionalGroupsSequence[0][sequence].value[0]


def move(dataset: Dataset, millimetres: float) -> None:
    position = dataset.PerFrameFunctionalGroupsSequence[4].PlanePositionSequence[0]
    position.ImagePositionPatient = [position.ImagePositionPatient[0] + millimetres, *position.ImagePositionPatient[1:]]


def overlap(dataset: Dataset) -> None:
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        frame.PlanePositionSequence = dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence


def endless(dataset: Dataset) -> None:
    dataset.NumberOfFrames = 9000
    dataset.PerFrameFunctionalGroupsSequence = [dataset.PerFrameFunctionalGroupsSequence[0]] * 9000


DAMAGE: dict[str, tuple[Callable[[Dataset], object], str]] = {
    "fractional": (lambda seg: setattr(seg, "SegmentationType", "FRACTIONAL"), "is a FRACTIONAL segmentation; export"),
    "a scan": (lambda seg: setattr(seg, "SOPClassUID", HEADERS[0].SOPClassUID), "is an object of class 1.2.840"),
    "an unknown segment": (
        lambda seg: setattr(seg.SegmentSequence[1], "SegmentLabel", "liver"),
        "has the segment 'liver', which is no class of the task; name it Tumour or necrotic core or cyst",
    ),
    "no segment": (lambda seg: seg.SegmentSequence.clear(), "has a frame of segment 1, which it does not describe"),
    "frames of no segment": (
        lambda seg: delattr(seg.PerFrameFunctionalGroupsSequence[0], "SegmentIdentificationSequence"),
        "has a frame of segment None, which it does not describe",
    ),
    "another frame of reference": (
        lambda seg: setattr(seg, "FrameOfReferenceUID", "1.2.3"),
        f"lies in the frame of reference 1.2.3, series {GRID.series_uid} in {GRID.frame_of_reference_uid}",
    ),
    "no frame of reference": (lambda seg: delattr(seg, "FrameOfReferenceUID"), "lies in the frame of reference None"),
    "another size": (lambda seg: setattr(seg, "Rows", 6), "has frames of 7 x 6 pixels, series"),
    "another orientation": (
        lambda seg: setattr(
            shared_item(seg, "PlaneOrientationSequence"), "ImageOrientationPatient", [1, 0, 0, 0, 1, 0]
        ),
        "has a frame with ImageOrientationPatient [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], its series has",
    ),
    "turned slices": (
        lambda seg: setattr(
            shared_item(seg, "PlaneOrientationSequence"),
            "ImageOrientationPatient",
            [-value for value in shared_item(seg, "PlaneOrientationSequence").ImageOrientationPatient],
        ),
        "has a frame with ImageOrientationPatient",
    ),
    "another spacing": (
        lambda seg: setattr(shared_item(seg, "PixelMeasuresSequence"), "PixelSpacing", [0.6, 0.7]),
        "has a frame with PixelSpacing [0.6, 0.7], its series has [0.7, 0.6]",
    ),
    "a frame half a pixel aside": (lambda seg: move(seg, 0.3), "voxels off the slices of its series"),
    "a frame outside": (lambda seg: move(seg, 500), "frame 5 lies at ["),
    "no positions": (
        lambda seg: delattr(seg.PerFrameFunctionalGroupsSequence[3], "PlanePositionSequence"),
        "has a frame without ImagePositionPatient",
    ),
    "no frames": (lambda seg: delattr(seg, "PerFrameFunctionalGroupsSequence"), "frames and tells of 0 where they li"),
    "too many frames": (lambda seg: setattr(seg, "NumberOfFrames", 99), "has 99 frames and tells of 18"),
    "endless frames": (endless, "has 9000 frames, its series 6 slices, so that at most 6 would be right"),
    "an overlap": (overlap, "slice 1: "),
    "no pixels": (lambda seg: delattr(seg, "PixelData"), "has no pixels"),
    "too few pixels": (
        lambda seg: setattr(seg, "PixelData", seg.PixelData[:-4]),
        "pixels cannot be decoded (76 bytes, 79 would be right)",
    ),
    "other bits": (lambda seg: setattr(seg, "BitsAllocated", 32), "(32 bits a pixel, 1, 8 or 16 would be right)"),
    "an unknown compression": (
        lambda seg: setattr(seg.file_meta, "TransferSyntaxUID", UID("1.2.840.10008.1.2.4.80")),
        "its pixels cannot be decoded (",
    ),
    "damaged compression": (
        lambda seg: setattr(seg.file_meta, "TransferSyntaxUID", RLELossless),
        "its pixels cannot be decoded (",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_no_label_of_the_series_is_refused_by_name(what: str) -> None:
    dataset = written(make_label(11))
    damage, message = DAMAGE[what]
    damage(dataset)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_segmentation(dataset, GRID, labels=LABELS)
    assert str(caught.value).startswith(f"segmentation series {dataset.SeriesInstanceUID}: ")
    assert "\n" not in str(caught.value)


def test_a_voxel_of_two_classes_is_refused_with_both_names() -> None:
    label = np.zeros(SHAPE, np.uint8)
    label[1, 2, 4], label[2, 2, 4] = LABELS["Tumour"], LABELS["cyst"]
    dataset = written(label)
    frames = binary_frames(dataset)
    frames[1] |= frames[0]
    dataset.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes()
    with pytest.raises(InputError, match="slice 5: 1 voxels are Tumour as well as cyst; give each voxel one class"):
        read_segmentation(dataset, GRID, labels=LABELS)


def test_an_unknown_value_of_a_label_map_is_refused() -> None:
    dataset = label_map(make_label(12))
    del dataset.SegmentSequence[1]
    with pytest.raises(InputError, match="has pixels of value 4, which no segment describes"):
        read_segmentation(dataset, GRID, labels=LABELS)
