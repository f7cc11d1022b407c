"""What is written is whole or not there."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lib.errors import InputError, StorageError
from lib.storage.atomic import atomic_folder, atomic_path, remove_leftovers, write_text
from tests.unprivileged import read_only_folder

_ROOT = Path(__file__).resolve().parents[3]

# A limit on file sizes fails writes half way, as a full disk does, without needing one.
_SMALL_DISK = """
import resource, signal, sys
from pathlib import Path
from lib.storage.atomic import atomic_folder, write_text
from lib.errors import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
target = Path(sys.argv[2])
try:
    if sys.argv[1] == "file":
        write_text(target, "x" * 5000)
    else:
        with atomic_folder(target) as folder:
            (folder / "small").write_text("x")
            (folder / "large").write_text("x" * 5000)
except StorageError as error:
    print(error)
    sys.exit(2)
"""


def _run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    """Sets the umask, for one test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_text_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "note.txt"
    write_text(path, "größer\n")
    assert path.read_bytes() == "größer\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_the_temporary_name_keeps_the_suffixes_and_the_folder(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "scan.a.nii.gz") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".nii.gz")
        assert temporary.name != "scan.a.nii.gz"
        assert not (tmp_path / "scan.a.nii.gz").exists()
    assert (tmp_path / "scan.a.nii.gz").exists()


@pytest.mark.parametrize(("mask", "of_file", "of_folder"), [(0o077, 0o600, 0o700), (0o002, 0o664, 0o775)])
def test_who_may_read_what_is_new_is_what_the_umask_says(
    tmp_path: Path, umask: Callable[[int], int], mask: int, of_file: int, of_folder: int
) -> None:
    umask(mask)
    write_text(tmp_path / "note.txt", "x")
    with atomic_folder(tmp_path / "one") as folder:
        (folder / "file").write_text("x")
    assert mode(tmp_path / "note.txt") == of_file
    assert mode(tmp_path / "one") == of_folder
    assert mode(tmp_path / "one" / "file") == of_file


@pytest.mark.parametrize("before", [0o600, 0o640, 0o666, 0o444])
def test_who_may_read_a_file_stays_when_it_is_written_again(
    tmp_path: Path, umask: Callable[[int], int], before: int
) -> None:
    path = tmp_path / "note.txt"
    umask(0o027)
    write_text(path, "old")
    path.chmod(before)
    write_text(path, "new")
    assert (path.read_text(), mode(path)) == ("new", before)


def test_a_link_that_is_replaced_gives_its_mode_to_nothing(tmp_path: Path, umask: Callable[[int], int]) -> None:
    umask(0o077)
    target, path = tmp_path / "target", tmp_path / "link"
    target.write_text("theirs")
    target.chmod(0o666)
    path.symlink_to(target)
    write_text(path, "ours")
    assert (mode(path), mode(target), target.read_text()) == (0o600, 0o666, "theirs")


def test_a_name_that_is_as_long_as_can_be_is_written_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / ("a." + "x" * 246 + ".nii.gz")
    write_text(path, "x")
    with atomic_path(path) as temporary:
        assert temporary.name.endswith(".gz")
        temporary.write_text("y")
    assert path.read_text() == "y"


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "state.json"
    write_text(path, "old")

    def write_half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_that_is_killed_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_text(path, "old")
    script = """
import os, signal, sys
from pathlib import Path
from lib.storage.atomic import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert _run(script, str(path)).returncode == -signal.SIGKILL
    assert path.read_text() == "old"


@pytest.mark.parametrize("below", ["file/note.txt", "file/deeper/note.txt"])
def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match=r"note\.txt: cannot be written") as caught:
        write_text(tmp_path / below, "x")
    assert "\n" not in str(caught.value)
    with pytest.raises(StorageError, match=r"note\.txt: could not be written"), atomic_folder(tmp_path / below):
        pytest.fail("the block must not run")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system that nobody may write to")
def test_a_read_only_place_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match="choose a folder that is writable"):
        write_text(Path("/proc/self/note.txt"), "x")


def test_a_folder_without_permission_is_a_storage_error() -> None:
    with read_only_folder() as folder, pytest.raises(StorageError, match="Permission denied"):
        write_text(folder / "note.txt", "x")


def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    write_text(path, "old")
    done = _run(_SMALL_DISK, "file", str(path))
    assert done.returncode == 2, done.stderr
    assert done.stdout.startswith(f"{path}: could not be written (")
    assert "free some space" in done.stdout
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_no_folder(tmp_path: Path) -> None:
    done = _run(_SMALL_DISK, "folder", str(tmp_path / "generation"))
    assert done.returncode == 2, done.stderr
    assert "free some space" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "generations" / "one"
    with atomic_folder(path) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("x")
        assert not path.exists()
    assert (path / "sub" / "file").read_text() == "x"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_no_folder(tmp_path: Path) -> None:
    def write_half() -> None:
        with atomic_folder(tmp_path / "one") as folder:
            (folder / "file").write_text("x")
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_a_published_folder_is_never_written_again(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "one") as folder:
        (folder / "file").write_text("first")
    with pytest.raises(StorageError, match="one: could not be written"), atomic_folder(tmp_path / "one") as folder:
        (folder / "file").write_text("second")
    assert (tmp_path / "one" / "file").read_text() == "first"
    assert [file.name for file in tmp_path.iterdir()] == ["one"]


@pytest.mark.parametrize("write", [atomic_path, atomic_folder])
def test_what_cannot_be_read_is_not_taken_for_what_cannot_be_written(tmp_path: Path, write: Any) -> None:
    source, target = tmp_path / "in" / "missing.nii.gz", tmp_path / "out" / "copy.nii.gz"
    with pytest.raises(InputError, match=r"^.*in/missing.nii.gz: cannot be read \(No such file"), write(target) as path:
        shutil.copyfile(source, path)
    assert not target.exists()


_WRITER = """
import sys, time
from pathlib import Path
from lib.storage.atomic import atomic_folder, atomic_path
with atomic_path(Path(sys.argv[1]) / "file.nii.gz") as file, atomic_folder(Path(sys.argv[1]) / "folder") as folder:
    for path in (file, folder / "part"):
        path.write_text("half")
    print("writing", flush=True)
    time.sleep(120)
"""


def test_what_a_killed_process_left_is_removed_and_what_is_being_written_stays(tmp_path: Path) -> None:
    (tmp_path / ".hidden.nii.gz").write_text("of somebody else")
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path)], cwd=_ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        with atomic_path(tmp_path / "own.txt") as own:
            own.write_text("whole")
            remove_leftovers(tmp_path)
            assert len(list(tmp_path.glob(".tmp-*"))) == 3
        assert (tmp_path / "own.txt").read_text() == "whole"
    finally:
        writer.kill()
        writer.wait(timeout=30)
    assert len(list(tmp_path.glob(".tmp-*"))) == 2
    remove_leftovers(tmp_path, tmp_path / "missing")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden.nii.gz", "own.txt"]
