"""A small file that unpacks to a large one is refused before it is in memory."""

import io
import resource

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, SegmentationStorage, generate_uid

from lib.dicom.deflated import MOST_UNPACKED, check_unpacked_size
from lib.errors import InputError


def file_of(size: int, syntax: str = DeflatedExplicitVRLittleEndian) -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = SegmentationStorage, generate_uid(entropy_srcs=["deflated"])
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    dataset.add_new("PixelData", "OB", bytes(size))
    stream = io.BytesIO()
    dcmwrite(stream, dataset, write_like_original=False)
    return stream.getvalue()


def test_a_bomb_is_refused_in_little_memory() -> None:
    bomb = file_of(MOST_UNPACKED + 1000)
    assert len(bomb) < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="unpacks to more than 192 MB; send it uncompressed"):
        check_unpacked_size(bomb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_an_honest_object_is_left_to_its_reader(syntax: str) -> None:
    content = file_of(100_000, syntax)
    check_unpacked_size(content)
    assert len(dcmread(io.BytesIO(content)).PixelData) == 100_000


@pytest.mark.parametrize("content", [b"", b"no DICOM", file_of(1000)[:-20], b"\0" * 128 + b"DICM"])
def test_what_is_cut_short_or_no_dicom_is_left_to_its_reader(content: bytes) -> None:
    check_unpacked_size(content)


def test_where_the_compressed_part_begins_must_be_told() -> None:
    content = file_of(1000)
    without = content[:132] + content[144:]
    with pytest.raises(InputError, match="does not tell the length of its header"):
        check_unpacked_size(without)
