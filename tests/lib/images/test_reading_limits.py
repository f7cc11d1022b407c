"""NIfTI files whose header asks for more than the file can be, or than the scan has."""

import gzip
import resource
import struct
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lib.errors import InputError
from lib.images.files import read_grid, read_label, read_scan
from lib.images.region import read_region
from lib.images.volume import Grid

GRID = Grid((4, 5, 6), np.eye(4))


def nifti(shape: tuple[int, ...] = GRID.shape, *, offset: float = 352, tail: bytes = bytes(4)) -> bytes:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape(shape)
    header.set_sform(np.eye(4), 1)
    header["magic"] = b"n+1"
    header["vox_offset"] = offset
    return header.binaryblock + tail


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def test_a_gigabyte_in_a_megabyte_is_refused_in_little_time_and_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.nii.gz"
    with gzip.open(path, "wb", 6) as file:
        file.write(nifti((1000, 1000, 200)))
        for _ in range(200):
            file.write(bytes(1_000_000))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    for read in (lambda: read_label(path, values=[1], scan=GRID), lambda: read_region(path, GRID)):
        with pytest.raises(InputError, match=r"shape \(1000, 1000, 200\), its scan \(4, 5, 6\)"):
            read()
    assert time.monotonic() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_a_file_that_goes_on_behind_its_voxels_is_refused_without_unpacking_it(tmp_path: Path) -> None:
    path = write(tmp_path / "bomb.nii.gz", nifti() + bytes(120) + bytes(50_000_000))
    start = time.monotonic()
    with pytest.raises(InputError, match="holds more data than the voxels that it declares"):
        read_label(path, values=[1], scan=GRID)
    assert time.monotonic() - start < 2
    filled_up = write(tmp_path / "a.nii.gz", nifti() + bytes(120) + bytes(1000))
    assert not read_label(filled_up, values=[1], scan=GRID).array.any()


@pytest.mark.parametrize("shape", [(30000, 30000, 30000), (2000, 2000, 2000)])
def test_what_no_file_of_this_size_can_hold_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    for name in ("a.nii.gz", "a.nii"):
        with pytest.raises(InputError):
            read_scan(write(tmp_path / name, nifti(shape) + bytes(1000)))


@pytest.mark.parametrize("offset", [1e12, -400.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_voxels_that_begin_anywhere_are_refused(tmp_path: Path, name: str, offset: float) -> None:
    with pytest.raises(InputError, match="voxels from byte"):
        read_grid(write(tmp_path / name, nifti(offset=offset) + bytes(120)))


@pytest.mark.parametrize("size", [2_000_000_000, -1, 0, 7, 48])
def test_an_extension_that_leaves_the_header_is_refused(tmp_path: Path, size: int) -> None:
    extension = struct.pack("<ii", size, 4) + bytes(24)
    content = nifti(offset=384, tail=b"\1\0\0\0" + extension) + bytes(120)
    with pytest.raises(InputError, match=f"extension of {size} bytes"):
        read_label(write(tmp_path / "a.nii.gz", content), values=[1], scan=GRID)


def test_an_honest_extension_is_passed_over(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 2, GRID.shape).astype(np.uint8)
    image = nib.Nifti1Image(array, np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"drawn by hand"))
    nib.save(image, tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_label(tmp_path / "a.nii.gz", values=[1], scan=GRID).array, array)


def test_a_cifti_file_is_no_volume(tmp_path: Path) -> None:
    header = nib.Nifti2Header()
    header.set_data_shape((1, 1, 1, 1, 3, 4))
    header["intent_code"] = 3006
    header["vox_offset"] = 544
    with pytest.raises(InputError, match="CIFTI"):
        read_scan(write(tmp_path / "a.nii", header.binaryblock + bytes(200)))
