import os
from pathlib import Path

import pytest

from apps.calibrated_ensemble.datastores.kept_labels import Bounds, KeptLabels
from lib.errors import InputError, StorageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "label.nii.gz"
    path.write_bytes(b"drawn")
    return path


def test_what_is_kept_can_be_read_by_nobody_else(tmp_path: Path, file: Path) -> None:
    (tmp_path / "kept").mkdir(mode=0o755)
    kept = KeptLabels(tmp_path / "kept", bounds=None).keep("scan", file)
    assert kept.read_bytes() == b"drawn"
    assert kept.name.startswith("scan-")
    assert kept.name.endswith(".nii.gz")
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("scan", ["../../elsewhere", "/etc/passwd", "a" * 5000, "", ".", "a\nb", "\ud800", "ä" * 200])
def test_whatever_the_scan_is_called_its_label_is_kept_here(tmp_path: Path, file: Path, scan: str) -> None:
    kept = KeptLabels(tmp_path / "kept", bounds=None).keep(scan, file)
    assert kept.parent == tmp_path / "kept"
    assert kept.read_bytes() == b"drawn"


def test_the_oldest_give_way_and_are_counted(tmp_path: Path, file: Path) -> None:
    store = KeptLabels(tmp_path / "kept", bounds=Bounds(files=3, size=1000))
    kept = []
    for number in range(5):
        kept.append(store.keep(f"scan_{number}", file))
        os.utime(kept[-1], (1000 + number, 1000 + number))
    assert sorted((tmp_path / "kept").iterdir()) == kept[2:]
    assert store.count() == (3, 15)
    assert KeptLabels(tmp_path / "nothing", bounds=None).count() == (0, 0)


def test_the_size_of_all_is_bounded(tmp_path: Path, file: Path) -> None:
    store = KeptLabels(tmp_path / "kept", bounds=Bounds(files=100, size=12))
    for number in range(4):
        kept = store.keep(f"scan_{number}", file)
    assert store.count() == (2, 10)
    assert kept.exists()
    file.write_bytes(bytes(13))
    with pytest.raises(InputError, match="has 13 bytes; at most 12 are kept"):
        store.keep("large", file)
    assert store.count() == (2, 10)


def test_a_place_that_cannot_be_written_to_has_a_spare_one(tmp_path: Path, file: Path) -> None:
    (tmp_path / "kept").write_text("a file where the folder should be")
    kept = KeptLabels(tmp_path / "kept", bounds=None, spare=tmp_path / "spare").keep("scan", file)
    assert kept.parent == tmp_path / "spare"
    assert kept.read_bytes() == b"drawn"
    with pytest.raises(StorageError):
        KeptLabels(tmp_path / "kept", bounds=None).keep("scan", file)


def test_a_spare_folder_that_somebody_else_made_is_not_used(tmp_path: Path, file: Path) -> None:
    (tmp_path / "kept").write_text("a file where the folder should be")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "spare").symlink_to(tmp_path / "theirs")
    with pytest.raises(StorageError, match="belongs to somebody else"):
        KeptLabels(tmp_path / "kept", bounds=None, spare=tmp_path / "spare").keep("scan", file)
    assert list((tmp_path / "theirs").iterdir()) == []
