from pathlib import Path

import numpy as np
import pytest

from lib.storage.arrays import read_arrays, write_arrays
from tests.tiny_training import full_disk

ARRAYS = {"counts": np.arange(5), "of/scan": np.full((2, 3), 0.5, np.float32)}


def test_arrays_are_read_back_as_they_were(tmp_path: Path) -> None:
    write_arrays(tmp_path / "new" / "file.npz", ARRAYS)
    read = read_arrays(tmp_path / "new" / "file.npz")
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    write_arrays(path, ARRAYS)
    noise = np.random.default_rng(0).random(1000)
    with full_disk(1000), pytest.raises(RuntimeError, match="free some space"):
        write_arrays(path, {"noise": noise})
    assert read_arrays(path).keys() == ARRAYS.keys()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04", b"{}", b"\x93NUMPY"])
def test_what_holds_no_arrays_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "file.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"file\.npz: cannot be read"):
        read_arrays(path)


@pytest.mark.parametrize("change", ["truncated", "zeros"])
def test_a_damaged_file_is_named(tmp_path: Path, change: str) -> None:
    path = tmp_path / "file.npz"
    write_arrays(path, {"noise": np.random.default_rng(0).random(1000)})
    content = path.read_bytes()
    path.write_bytes(content[:500] if change == "truncated" else content[:200] + bytes(40) + content[240:])
    with pytest.raises(ValueError, match=r"file\.npz: cannot be read"):
        read_arrays(path)


def test_a_single_array_is_no_file_of_named_ones(tmp_path: Path) -> None:
    np.save(tmp_path / "file.npy", np.arange(3))
    with pytest.raises(ValueError, match="cannot be read"):
        read_arrays(tmp_path / "file.npy")


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "file.npz", objects=np.array([object()]))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_arrays(tmp_path / "file.npz")
