"""What the operating system says of files, told with the file and what would help."""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib.errors import StorageError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_disk_full(error: BaseException) -> bool:
    """Whether an error says that a disk, or one's share of it, is full."""
    return isinstance(error, OSError) and error.errno in _FULL


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Say which file could not be written; for whatever writes it in the block.

    Raises:
        StorageError: it could not.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror or error}); "
            "free some space or choose a folder that is writable"
        ) from error


def check_writable(folder: Path) -> None:
    """Check that files can be made in a folder; none stays.

    Raises:
        StorageError: they cannot.
    """
    with writing_to(folder), tempfile.TemporaryFile(dir=folder):
        pass


def make_folder(path: Path) -> None:
    """Make a folder with those above it, unless it is there.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path}: cannot be made ({error.strerror}); choose a place that is writable") from error
