import errno
from pathlib import Path

import pytest

from lib.errors import StorageError
from lib.storage.disk import check_writable, is_disk_full, make_folder, writing_to


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (ConnectionError("reset"), False),
        (ValueError(errno.ENOSPC), False),
    ],
)
def test_a_full_disk_is_known_by_its_number(error: Exception, full: bool) -> None:
    assert is_disk_full(error) == full


def test_the_file_that_cannot_be_written_is_named() -> None:
    expected = r"out/a\.dcm: cannot be written \(No space left on device\); free some"
    with pytest.raises(StorageError, match=expected), writing_to(Path("out/a.dcm")):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_that_takes_no_files_is_named_and_one_that_does_stays_empty(tmp_path: Path) -> None:
    check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StorageError, match="absent: cannot be written"):
        check_writable(tmp_path / "absent")


def test_a_folder_is_made_with_those_above_it_or_named(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file/c: cannot be made"):
        make_folder(tmp_path / "file" / "c")
