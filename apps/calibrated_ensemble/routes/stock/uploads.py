"""Files that come with a request: kept in a folder of this process alone, for as long as the request takes."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import UploadFile

from lib.errors import InputError
from lib.images.files import SUFFIXES, scan_name
from lib.storage.disk import writing_to

SENT_SCAN = "the scan that was sent"


@contextmanager
def stored_scan(upload: UploadFile) -> Iterator[Path]:
    """Give the file of a scan that was sent, under a name of ours; it is removed at the end, whatever happens.

    Raises:
        InputError: its name ends in no suffix of a scan, or the block says what is wrong with it.
        StorageError: it cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="calibrated-ensemble-") as folder:
        path = Path(folder) / f"scan{_suffix(upload.filename)}"
        with writing_to(path), path.open("wb") as file:
            shutil.copyfileobj(upload.file, file)
        with named(path, SENT_SCAN):
            yield path


@contextmanager
def named(path: Path, name: str) -> Iterator[None]:
    """Have errors about a file call it by another name, since its path means nothing to who sent it.

    Raises:
        InputError: the block says what is wrong with the file.
    """
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(str(path), name)) from error


def _suffix(filename: str | None) -> str:
    if not filename:
        return SUFFIXES[0]
    suffix = Path(filename).name.removeprefix(scan_name(filename)).lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{SENT_SCAN}: its name ends in no {', '.join(SUFFIXES)}; save it as one of these")
    return suffix
