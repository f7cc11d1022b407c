"""Writing that is either complete or did not happen."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib.errors import InputError, ProductError, StorageError
from lib.storage.disk import writing_to

# A full disk is reported with the name of what was read as well.
_OF_READING = {errno.ENOENT, errno.EACCES, errno.EISDIR}


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of `path` and move it onto `path` when the block ends well.

    The temporary name keeps the suffixes of `path`, since image writers choose the format by
    them. The file is flushed to disk before it is moved; when the block raises, it is removed
    and whatever stood at `path` is left as it was.

    Raises:
        StorageError: the folder cannot be written to, or the disk is full.
        InputError: what was to be written there cannot be read.
    """
    path = Path(path)
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=".tmp-", suffix="".join(path.suffixes[-2:]), delete=False
        ) as file:
            temporary = Path(file.name)
    try:
        yield temporary
        _flush(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
        _flush(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _explained(error, path) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
    `path` must not exist: a folder that is published is never written again.

    Raises:
        StorageError: the parent cannot be written to, or the disk is full.
        InputError: what was to be written there cannot be read.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=".tmp-"))
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _flush(file)
        temporary.chmod(0o755)
        temporary.rename(path)
        _flush(path.parent)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        if temporary is not None and temporary.exists():
            shutil.rmtree(temporary)


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
