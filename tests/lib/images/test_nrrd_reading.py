"""NRRD files that came over the network: what they say of other files, of their size and of their segments."""

import bz2
import gzip
import zlib
from pathlib import Path

import nrrd
import numpy as np
import pytest

from lib.errors import InputError
from lib.images.files import names_inside, read_label, read_scan
from lib.images.nrrd_reading import nrrd_header, read_nrrd
from lib.images.volume import Grid

SHAPE = (4, 5, 6)
GRID = Grid(SHAPE, np.diag([-1.0, -1.0, 1.0, 1.0]))
HEADER = {
    "type": "uint8",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "4 5 6",
    "space directions": "(1,0,0) (0,1,0) (0,0,1)",
    "space origin": "(0,0,0)",
    "encoding": "raw",
}


def write(path: Path, data: bytes, **fields: str) -> Path:
    header = HEADER | {name.replace("_", " "): value for name, value in fields.items()}
    lines = [f"{name}: {value}" for name, value in header.items()]
    path.write_bytes("\n".join(["NRRD0005", *lines, "", ""]).encode() + data)
    return path


def voxels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 3, SHAPE).astype(np.uint8)


def stored() -> bytes:
    return voxels().tobytes(order="F")


def named(path: Path, array: np.ndarray, *segments: tuple[str, int]) -> Path:
    """A label as 3D Slicer writes it; names are those of the header, in UTF-8."""
    fields = {}
    for number, (name, value) in enumerate(segments):
        fields |= {f"Segment{number}_Name": f"={name}", f"Segment{number}_LabelValue": f"={value}"}
    lines = [f"{name}: {value}" for name, value in HEADER.items()] + [f"{name}:{text}" for name, text in fields.items()]
    path.write_bytes("\n".join(["NRRD0005", *lines, "", ""]).encode() + array.tobytes(order="F"))
    return path


@pytest.mark.parametrize("field", ["data file", "datafile", "Data File", "DATAFILE"])
@pytest.mark.parametrize("target", ["/etc/passwd", "secret.txt", "LIST", "%d.raw 1 2 1"])
def test_data_of_another_file_is_never_followed(tmp_path: Path, field: str, target: str) -> None:
    (tmp_path / "secret.txt").write_bytes(b"\7" * 120)
    path = write(tmp_path / "label.nrrd", b"", **{field: target})
    for read in (read_scan, names_inside, lambda file: read_label(file, values=[1], scan=GRID)):
        with pytest.raises(
            InputError, match="keeps its data in another file; save header and data in one file"
        ) as told:
            read(path)
        assert "7" not in str(told.value).removeprefix(str(path))


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("gz", gzip.compress), ("bzip2", bz2.compress), ("bz2", bz2.compress)],
)
def test_packed_data_is_read_as_pynrrd_reads_it(tmp_path: Path, encoding: str, pack) -> None:
    path = write(tmp_path / "a.nrrd", pack(stored()), encoding=encoding)
    array, _ = read_nrrd(path)
    np.testing.assert_array_equal(array, voxels())
    np.testing.assert_array_equal(array, nrrd.read(str(path))[0])


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("bzip2", bz2.compress)])
def test_data_that_unpacks_to_more_than_is_declared_is_refused(tmp_path: Path, encoding: str, pack) -> None:
    path = write(tmp_path / "bomb.nrrd", pack(stored() + bytes(50_000_000)), encoding=encoding)
    with pytest.raises(InputError, match="holds more data than the"):
        read_label(path, values=[1, 2], scan=GRID)


@pytest.mark.parametrize("sizes", ["1000 1000 1000", "4 5 7", "100000 100000 100000", "-4 5 6", "0 5 6"])
def test_a_shape_that_is_not_the_scans_is_refused_before_anything_is_unpacked(
    tmp_path: Path, sizes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zlib, "decompressobj", lambda *_: pytest.fail("unpacked"))
    path = write(tmp_path / "bomb.nrrd", gzip.compress(bytes(1000)), sizes=sizes, encoding="gzip")
    with pytest.raises(InputError, match="shape"):
        read_label(path, values=[1], scan=GRID)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"byte_skip": "1000000000"}, "byte skip 1000000000"),
        ({"byte_skip": "-1", "encoding": "gzip"}, "byte skip -1"),
        ({"byte_skip": "-2"}, "byte skip -2"),
        ({"line_skip": "1000000000000"}, "line skip 1000000000000"),
        ({"line_skip": "-1"}, "line skip -1"),
        ({"type": "block", "block_size": "1000000000"}, "blocks of bytes"),
    ],
)
def test_endless_work_is_refused(tmp_path: Path, fields: dict[str, str], told: str) -> None:
    path = write(tmp_path / "a.nrrd", gzip.compress(stored()), **fields)
    with pytest.raises(InputError, match=told):
        read_nrrd(path)


def test_data_at_the_end_of_the_file_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nrrd", b"something else" + stored(), byte_skip="-1")
    np.testing.assert_array_equal(read_nrrd(path)[0], voxels())


def test_a_header_without_an_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nrrd"
    path.write_bytes(b"NRRD0005\n" + b"#" * (5 << 20))
    with pytest.raises(InputError, match="header of more than"):
        nrrd_header(path)


def test_names_inside_a_label_win_over_its_numbers(tmp_path: Path) -> None:
    array = voxels()
    path = named(tmp_path / "a.nrrd", array, ("tumour", 1), (" LIVER", 2), ("never drawn", 7))
    label = read_label(path, values={"liver": 1, "tumour": 2}, scan=GRID)
    np.testing.assert_array_equal(label.array, np.array([0, 2, 1], np.uint8)[array])


def test_names_may_be_in_any_language(tmp_path: Path) -> None:
    path = named(tmp_path / "a.nrrd", (voxels() > 0).astype(np.uint8), ("Straße", 1))
    assert names_inside(path) == {1: "Straße"}
    label = read_label(path, values={"STRASSE": 9})
    np.testing.assert_array_equal(label.array > 0, voxels() > 0)
    assert label.array.max() == 9


@pytest.mark.parametrize(
    ("segments", "told"),
    [
        ((("spleen", 1), ("liver", 2)), r"segment 'spleen', which is no class of the task; name it liver or tumour"),
        ((("Segment_1", 1), ("Segment_2", 2)), r"segment 'Segment_1', which is no class"),
        ((("liver", 1),), r"holds the value 2, which none of its segments has"),
        ((("liver", 1), ("tumour", 1)), r"names value 1 'liver' and 'tumour'"),
    ],
)
def test_names_that_are_unknown_or_missing_are_refused(
    tmp_path: Path, segments: tuple[tuple[str, int], ...], told: str
) -> None:
    path = named(tmp_path / "a.nrrd", voxels(), *segments)
    with pytest.raises(InputError, match=told):
        read_label(path, values={"liver": 1, "tumour": 2}, scan=GRID)


def test_a_label_without_names_keeps_its_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nrrd", stored())
    assert names_inside(path) == {}
    np.testing.assert_array_equal(read_label(path, values={"liver": 1, "tumour": 2}).array, voxels())
