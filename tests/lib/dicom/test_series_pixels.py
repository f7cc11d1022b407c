"""Grey values are those of PS3.3 C.11.1, whatever displays are told to make of them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from highdicom.frame import encode_frame
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless, generate_uid

from lib.dicom.series import read_series
from lib.dicom.series_writer import series_datasets
from lib.errors import InputError
from lib.images.volume import Volume
from tests.lib.dicom.series_examples import make_series, write_files

SHAPE = (8, 6, 4)
SLOPES = np.array([1.0, 0.25, 3.0, 1.5])
INTERCEPTS = np.array([0.0, 0.5, -10.0, 2.0])


def _stored() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 512, SHAPE).astype(np.uint16)


def _series(stored: np.ndarray) -> list[Dataset]:
    """A series that holds these values, without any rescaling, in the order of its slices."""
    headers = series_datasets(
        Volume(np.zeros(SHAPE, np.float32), np.diag([-2.0, -2.0, 3.0, 1.0])), modality="CT", patient_id="p", entropy="e"
    )
    for index, header in enumerate(headers):
        for keyword in ("RescaleSlope", "RescaleIntercept", "RescaleType"):
            delattr(header, keyword)
        header.PixelRepresentation = int(stored.dtype.kind == "i")
        header.PixelData = stored[:, :, index].T.tobytes()
    return headers


def _table(entries: Sequence[int], *, first: int = 0, vr: str = "OW", bits: int = 16) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries) % (1 << 16), first, bits]
    item.ModalityLUTType = "HU"
    item.add_new("LUTData", vr, list(entries) if vr == "US" else np.asarray(entries, f"<u{bits // 8}").tobytes())
    return item


def _read(headers: list[Dataset], folder: Path) -> np.ndarray:
    return read_series(write_files(headers, folder))[0].array


@pytest.mark.parametrize("sign", [np.uint16, np.int16])
@pytest.mark.parametrize("rescaled", [False, True])
def test_monochrome1_holds_the_values_that_are_stored(tmp_path: Path, sign: type, rescaled: bool) -> None:
    stored = (_stored().astype(int) - (256 if sign is np.int16 else 0)).astype(sign)
    headers = _series(stored)
    for index, header in enumerate(headers):
        header.PhotometricInterpretation = "MONOCHROME1"
        if rescaled:
            header.RescaleSlope, header.RescaleIntercept = SLOPES[index], INTERCEPTS[index]
    expected = stored * SLOPES + INTERCEPTS if rescaled else stored
    np.testing.assert_array_equal(_read(headers, tmp_path), expected)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_compressed_monochrome1_holds_the_values_that_are_stored(tmp_path: Path, syntax: UID) -> None:
    stored = np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)
    headers = _series(stored)
    for header in headers:
        header.PixelData = encapsulate([encode_frame(header.pixel_array, syntax, 16, 16, "MONOCHROME2")])
        header["PixelData"].is_undefined_length = True
        header.file_meta.TransferSyntaxUID = syntax
        header.PhotometricInterpretation = "MONOCHROME1"
    np.testing.assert_array_equal(_read(headers, tmp_path), stored)


@pytest.mark.parametrize("vr", ["OW", "US"])
def test_a_modality_lut_is_looked_up_for_each_image(tmp_path: Path, vr: str) -> None:
    headers = _series(_stored())
    entries = [np.arange(512) * (index + 1) for index in range(len(headers))]
    for header, table in zip(headers, entries, strict=True):
        header.ModalityLUTSequence = [_table(table.tolist(), vr=vr)]
    expected = np.stack([table[_stored()[:, :, index]] for index, table in enumerate(entries)], axis=-1)
    np.testing.assert_array_equal(_read(headers, tmp_path), expected)


def test_values_beside_a_modality_lut_have_the_value_at_its_end(tmp_path: Path) -> None:
    headers = _series(_stored())
    for header in headers:
        header.ModalityLUTSequence = [_table((np.arange(100) * 7).tolist(), first=200)]
    np.testing.assert_array_equal(_read(headers, tmp_path), (np.clip(_stored().astype(int), 200, 299) - 200) * 7)


@pytest.mark.parametrize("first", [-256, (1 << 16) - 256])
def test_a_modality_lut_of_signed_values_begins_below_0(tmp_path: Path, first: int) -> None:
    stored = (_stored().astype(int) - 256).astype(np.int16)
    headers = _series(stored)
    for header in headers:
        item = _table((np.arange(512) * 3).tolist())
        order = "SS" if first < 0 else "US"
        item.add_new("LUTDescriptor", order, [512, first, 16])
        header.ModalityLUTSequence = [item]
    np.testing.assert_array_equal(_read(headers, tmp_path), (stored.astype(int) + 256) * 3)


def test_a_modality_lut_of_bytes_is_read_packed(tmp_path: Path) -> None:
    headers = _series(_stored() % 256)
    for header in headers:
        header.ModalityLUTSequence = [_table((255 - np.arange(256)).tolist(), bits=8)]
    np.testing.assert_array_equal(_read(headers, tmp_path), 255 - _stored().astype(int) % 256)


@pytest.mark.parametrize("kept", ["RescaleSlope", "RescaleIntercept"])
def test_half_a_rescaling_counts_as_far_as_it_goes(tmp_path: Path, kept: str) -> None:
    headers = _series(_stored())
    for header in headers:
        setattr(header, kept, 2)
    expected = _stored() * 2 if kept == "RescaleSlope" else _stored() + 2
    np.testing.assert_array_equal(_read(headers, tmp_path), expected)


def test_an_empty_rescaling_is_none(tmp_path: Path) -> None:
    headers = _series(_stored())
    for header in headers:
        header.RescaleSlope = header.RescaleIntercept = None
    np.testing.assert_array_equal(_read(headers, tmp_path), _stored())


def _with_both(header: Dataset) -> None:
    header.ModalityLUTSequence = [_table(range(512))]
    header.RescaleSlope = 2


def _with_text(header: Dataset) -> None:
    header.add(RawDataElement(Tag("RescaleSlope"), "DS", 4, b"1,5 ", 0, False, True))


_REFUSED: dict[str, tuple[Callable[[Dataset], object], str]] = {
    "slope of 0": (lambda header: setattr(header, "RescaleSlope", 0), "RescaleSlope 0"),
    "slope that is no number": (_with_text, "RescaleSlope"),
    "table and slope": (_with_both, "a Modality LUT and a rescaling"),
    "two tables": (lambda header: setattr(header, "ModalityLUTSequence", [_table(range(512))] * 2), "2 Modality LUTs"),
    "empty table": (lambda header: setattr(header, "ModalityLUTSequence", [Dataset()]), "without a descriptor"),
    "short table": (lambda header: _shortened(header), "of 100 entries, not 512"),
    "palette": (lambda header: setattr(header, "PhotometricInterpretation", "PALETTE COLOR"), "holds colours"),
    "more pixels than bytes": (lambda header: setattr(header, "Rows", 4000), "too few for 8 x 4000 pixels"),
}


def _shortened(header: Dataset) -> None:
    item = _table(range(100))
    item.LUTDescriptor = [512, 0, 16]
    header.ModalityLUTSequence = [item]


@pytest.mark.parametrize("what", _REFUSED)
def test_grey_values_that_nobody_can_tell_are_refused(tmp_path: Path, what: str) -> None:
    headers = _series(_stored())
    damage, message = _REFUSED[what]
    for header in headers:
        damage(header)
    files = write_files(headers, tmp_path)
    with pytest.raises(InputError) as caught:
        read_series(files)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_units_in_one_series_are_refused(tmp_path: Path) -> None:
    headers = _series(_stored())
    for header, unit in zip(headers, ("HU", "HU", "US", "HU"), strict=True):
        header.RescaleSlope, header.RescaleIntercept, header.RescaleType = 1, 0, unit
    with pytest.raises(InputError, match="grey values in HU and US"):
        read_series(write_files(headers, tmp_path))


def test_a_series_without_frame_of_reference_is_read_and_one_of_many_is_not(tmp_path: Path) -> None:
    headers = _series(_stored())
    for header in headers:
        del header.FrameOfReferenceUID
    volume, grid = read_series(write_files(headers, tmp_path))
    np.testing.assert_array_equal(volume.array, _stored())
    assert grid.frame_of_reference_uid == ""
    for header in headers:
        header.FrameOfReferenceUID = generate_uid()
    with pytest.raises(InputError, match="has 4 frames of reference"):
        read_series(write_files(headers, tmp_path))


@pytest.mark.parametrize(
    ("kind", "name"), [("1.2.840.10008.1.3.10", "DICOMDIR"), ("1.2.840.10008.5.1.4.1.1.88.67", "report.dcm")]
)
def test_what_lies_beside_the_images_is_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, name: str
) -> None:
    files = write_files(make_series(), tmp_path)
    expected = read_series(files)[0].array
    other = Dataset()
    other.file_meta = make_series()[0].file_meta
    other.file_meta.MediaStorageSOPClassUID = other.SOPClassUID = kind
    other.SeriesInstanceUID = generate_uid()
    other.is_little_endian, other.is_implicit_VR = True, False
    other.save_as(tmp_path / name, write_like_original=False)
    np.testing.assert_array_equal(read_series([tmp_path / name, *files])[0].array, expected)
    assert name in caplog.text


def test_the_image_of_another_series_is_named(tmp_path: Path) -> None:
    headers = make_series()
    headers[2].SeriesInstanceUID = "1.2.3"
    files = write_files(headers, tmp_path)
    with pytest.raises(InputError, match=f"{files[2].name} the series 1.2.3"):
        read_series(files)


def test_a_compressed_image_is_not_believed_to_hold_what_no_file_of_its_size_can(tmp_path: Path) -> None:
    headers = _series(_stored())
    for header in headers:
        header.PixelData = encapsulate([encode_frame(header.pixel_array, JPEGLSLossless, 16, 16, "MONOCHROME2")])
        header["PixelData"].is_undefined_length = True
        header.file_meta.TransferSyntaxUID = JPEGLSLossless
        header.Rows, header.Columns = 4000, 4000
    with pytest.raises(InputError, match="too few for 4000 x 4000 pixels"):
        read_series(write_files(headers, tmp_path))


def test_a_file_whose_kind_cannot_be_read_is_named(tmp_path: Path) -> None:
    files = write_files(make_series(), tmp_path)
    content = files[3].read_bytes()
    # The group that holds Rows is cut off, and the type of SOPClassUID is one that DICOM does not know.
    content = content[: content.index(b"\x28\x00\x02\x00US")].replace(b"\x08\x00\x16\x00UI", b"\x08\x00\x16\x00UA")
    files[3].write_bytes(content.replace(b"\x20\x00\x32\x00DS", b"\x21\x00\x32\x00DS"))
    with pytest.raises(InputError, match=f"{files[3].name}: its headers cannot be read"):
        read_series(files)
