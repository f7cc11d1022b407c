"""Files of labels that do not stand as the label of their scan, kept so that nothing drawn is lost."""

import logging
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lib.errors import InputError, StorageError
from lib.storage.atomic import atomic_path

logger = logging.getLogger(__name__)

_LONGEST_NAME = 120
_NO_NAME = re.compile(r"[^\w.-]+", re.ASCII)


@dataclass(frozen=True)
class Bounds:
    """How much is kept; the oldest files give way to new ones.

    Attributes:
        files: number of files.
        size: bytes of all of them.
    """

    files: int
    size: int


REFUSED = Bounds(files=1000, size=4 << 30)
"""Of what was refused: it may be anything that anybody sends."""


class KeptLabels:
    """A folder that nobody but the server's user can read.

    Args:
        folder: made when it is first needed.
        bounds: how much is kept; None keeps everything.
        spare: where files go when the folder cannot be written to, such as on another disk.
    """

    def __init__(self, folder: Path, *, bounds: Bounds | None, spare: Path | None = None):
        self._folder = folder
        self._bounds = bounds
        self._spare = spare

    def keep(self, scan: str, file: Path) -> Path:
        """Copy a file here.

        Args:
            scan: what its name begins with; as it was sent, which may be no name of a file.
            file: of the label.

        Returns:
            Where it is kept.

        Raises:
            InputError: it is larger than all that is kept.
            StorageError: it can be written nowhere.
        """
        size = file.stat().st_size
        if self._bounds is not None and size > self._bounds.size:
            raise InputError(f"{file}: has {size} bytes; at most {self._bounds.size} are kept on the server")
        name = f"{_NO_NAME.sub('_', scan)[:_LONGEST_NAME]}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}{_suffix(file)}"
        try:
            kept = _copy(file, self._folder / name)
        except StorageError as error:
            if self._spare is None:
                raise
            logger.warning("%s; the label of %r goes to %s", error, scan, self._spare)
            kept = _copy(file, self._spare / name, is_in_public=True)
        self._forget_oldest(kept)
        return kept

    def count(self) -> tuple[int, int]:
        """Number of files that are kept in the folder, and their bytes."""
        sizes = [status.st_size for _, status in self._files()]
        return len(sizes), sum(sizes)

    def _files(self) -> list[tuple[Path, os.stat_result]]:
        if not self._folder.is_dir():
            return []
        found = []
        for path in self._folder.glob("[!.]*"):
            try:
                found.append((path, path.stat()))
            except FileNotFoundError:  # another process has just removed it
                continue
        return found

    def _forget_oldest(self, newest: Path) -> None:
        if self._bounds is None:
            return
        files = sorted(self._files(), key=lambda one: one[1].st_mtime_ns)
        size = sum(status.st_size for _, status in files)
        count = len(files)
        for path, status in files:
            if count <= self._bounds.files and size <= self._bounds.size:
                return
            if path != newest:
                path.unlink(missing_ok=True)
                logger.warning("%s: is the oldest of too many refused labels and was removed", path)
                count, size = count - 1, size - status.st_size


def spare_folder() -> Path:
    """A folder beside the system's temporary files, for what the workspace has no room for."""
    return Path(tempfile.gettempdir()) / f"calibrated-ensemble-labels-{os.getuid()}"


def _copy(file: Path, kept: Path, *, is_in_public: bool = False) -> Path:
    _make_private(kept.parent, is_in_public=is_in_public)
    with atomic_path(kept) as temporary:
        temporary.chmod(0o600)
        shutil.copyfile(file, temporary)
    kept.chmod(0o600)
    return kept


def _make_private(folder: Path, *, is_in_public: bool) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_ours = folder.stat().st_uid == os.getuid()
        if is_in_public and (folder.is_symlink() or not is_ours):
            raise StorageError(f"{folder}: belongs to somebody else; remove it")
        if is_ours:
            folder.chmod(0o700)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be made ({error.strerror}); choose a place that is writable") from error


def _suffix(file: Path) -> str:
    return _NO_NAME.sub("_", "".join(file.suffixes[-2:]))[-16:]
