"""Locks on files: they end with the process that holds them, however that ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
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
