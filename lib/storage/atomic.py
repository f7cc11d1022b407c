"""Writing that is either complete or did not happen."""

import errno
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lib.errors import InputError, ProductError, StorageError
from lib.storage.disk import writing_to

# A full disk is reported with the name of what was read as well.
_OF_READING = {errno.ENOENT, errno.EACCES, errno.EISDIR}

_PREFIX = ".tmp-"

# A file name has 255 bytes at most, and the temporary one must fit wherever the name itself does.
_KEPT_SUFFIX = 32


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of `path` and move it onto `path` when the block ends well.

    The temporary name keeps the suffixes of `path`, since image writers choose the format by
    them. The file is flushed to disk before it is moved; when the block raises, it is removed
    and whatever stood at `path` is left as it was. Who may read and write it is what held for a
    file that stood there, else what the process's umask says.

    Raises:
        StorageError: the folder cannot be written to, or the disk is full.
        InputError: what was to be written there cannot be read.
    """
    path = Path(path)
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary_name(path)
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        _hold(descriptor)
        yield temporary
        _flush(temporary)
        _keep_mode(path, temporary)
        temporary.replace(path)
        _flush(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _explained(error, path) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all.

    Raises:
        StorageError: see `atomic_path`.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path` and move it to `path` when the block ends well.

    Every file is flushed to disk before the move; when the block raises, the folder is removed.
    `path` must not exist: a folder that is published is never written again. Who may read it is
    what the process's umask says.

    Raises:
        StorageError: the parent cannot be written to, or the disk is full.
        InputError: what was to be written there cannot be read.
    """
    path = Path(path)
    temporary = descriptor = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary_name(path)
        temporary.mkdir()
        descriptor = os.open(temporary, os.O_RDONLY)
        _hold(descriptor)
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _flush(file)
        temporary.rename(path)
        _flush(path.parent)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        if descriptor is not None:
            os.close(descriptor)
        if temporary is not None and temporary.exists():
            shutil.rmtree(temporary)


def remove_leftovers(*folders: Path) -> None:
    """Remove from folders, not from those in them, what killed processes left half-written.

    What a process writes at this moment, this one or another, stays: it holds a lock on it, which ends with it.
    What cannot be removed stays as well.
    """
    for folder in folders:
        for path in folder.glob(f"{_PREFIX}*"):
            with suppress(OSError):
                _remove_unless_held(path)


def _remove_unless_held(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(descriptor)


def _hold(descriptor: int) -> None:
    # Where a file system knows no such locks, nothing can be locked for removal either.
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_SH)


def _temporary_name(path: Path) -> Path:
    suffix = "".join(path.suffixes[-2:])[-_KEPT_SUFFIX:]
    return path.parent / f"{_PREFIX}{secrets.token_hex(8)}{suffix}"


def _keep_mode(path: Path, temporary: Path) -> None:
    try:
        standing = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISREG(standing):
        temporary.chmod(standing & 0o777)


def _explained(error: OSError, path: Path) -> ProductError:
    """What went wrong in writing to `path`, or in reading what was to be written there."""
    reason = error.strerror or error
    if error.errno in _OF_READING and error.filename and not Path(error.filename).is_relative_to(path.parent):
        return InputError(f"{error.filename}: cannot be read ({reason}), so that {path} is not written")
    return StorageError(f"{path}: could not be written ({reason}); free some space or choose another folder")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
