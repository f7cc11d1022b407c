"""Locks on files: they end with the process that holds them, however that ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from lib.errors import BusyError, StorageError


@contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Wait until no other process holds the lock, then hold it.

    Args:
        path: file of the lock; its folder is made when missing.

    Raises:
        StorageError: the folder cannot be written to.
    """
    lock = _make_lock(path)
    with _writing(path):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def exclusive_lock(path: Path, *, busy: str) -> Iterator[None]:
    """Hold the lock, or refuse at once where another process holds it.

    Args:
        path: file of the lock; its folder is made when missing.
        busy: message of the refusal: what is running, and what would be right.

    Raises:
        BusyError: another process holds the lock.
        StorageError: the folder cannot be written to.
    """
    lock = _make_lock(path)
    with _writing(path):
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise BusyError(busy) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Let `is_read` know that a file is being read, as long as the block lasts or the process lives.

    Args:
        path: an existing file, which need not be writable.
    """
    with path.open("rb") as file:
        # A file system without locks is read all the same.
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_SH)
        yield


def is_read(path: Path) -> bool:
    """Whether another process, or another part of this one, is in `reading` of a file; False for one that is gone."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _make_lock(path: Path) -> FileLock:
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise StorageError(
            f"{path.parent}: cannot be written ({reason}); choose a workspace that is writable"
        ) from error
