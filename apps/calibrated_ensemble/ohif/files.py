"""OHIF's files: where they are kept, and whether all of them are there."""

import gzip
import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from lib.storage.digest import digest_file

logger = logging.getLogger(__name__)

VERSION = "3.13.2"
PACKAGE = f"@ohif/app@{VERSION}"
INTEGRITY = "sha512-WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
"""What npm calls the integrity of the package's tarball."""

PREFIX = "/viewer/"
"""Public path under which the files are served; it is written into them when they are installed."""

INSTALL_COMMAND = "calibrated-ensemble viewer install"

# To be raised when other files are kept or rewritten in another way, so that older installations are made again.
_LAYOUT = 1

MANIFEST = "installed.json"
_FILES = "files"
_SUFFIX_COMPRESSED = ".gz"


class StoredFile(BaseModel):
    """One file of the viewer.

    Attributes:
        digest: SHA-256 of what is stored.
        compressed: stored as gzip, since that is smaller.
    """

    model_config = ConfigDict(frozen=True)

    digest: str
    compressed: bool


class _Manifest(BaseModel):
    package: str
    integrity: str
    prefix: str
    layout: int
    files: dict[str, StoredFile]


@dataclass(frozen=True)
class ViewerFiles:
    """A complete installation; nothing outside of `files` is ever looked for.

    Attributes:
        folder: where it is.
        files: by name, such as "index.html" or "assets/favicon.ico".
    """

    folder: Path
    files: Mapping[str, StoredFile]

    def path(self, name: str) -> Path:
        """Where a file is stored, compressed or not."""
        return _stored_path(self.folder, name, compressed=self.files[name].compressed)

    def read(self, name: str) -> bytes:
        """Content of a file."""
        content = self.path(name).read_bytes()
        return gzip.decompress(content) if self.files[name].compressed else content


def default_viewer_folder() -> Path:
    """Folder of this version in the user's cache: `$XDG_CACHE_HOME`, else `~/.cache`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # Relative paths are to be ignored, says the specification of these folders.
    root = cache if cache.is_absolute() else Path.home() / ".cache"
    return root / "calibrated_ensemble" / f"ohif-{VERSION}"


def find_viewer(folder: Path | None = None) -> ViewerFiles | None:
    """Give the viewer when it is installed, of this version, and every byte of it is as it was.

    Why an installation that is there cannot be used is logged as a warning.

    Args:
        folder: where it was installed; `default_viewer_folder` by default.
    """
    folder = folder.expanduser().absolute() if folder else default_viewer_folder()
    if not (folder / MANIFEST).is_file():
        return None
    try:
        manifest = _Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except ValidationError:
        logger.warning("%s: is damaged; run `%s`", folder / MANIFEST, INSTALL_COMMAND)
        return None
    if manifest.model_copy(update={"files": {}}) != _manifest({}):
        logger.warning("%s: holds %s of another installer; run `%s`", folder, manifest.package, INSTALL_COMMAND)
        return None
    viewer = ViewerFiles(folder, manifest.files)
    for name, file in viewer.files.items():
        path = viewer.path(name)
        if not path.is_file() or digest_file(path) != file.digest:
            logger.warning("%s: is missing or damaged; run `%s`", path, INSTALL_COMMAND)
            return None
    return viewer


def store_file(folder: Path, name: str, content: bytes) -> StoredFile:
    """Store a file of the viewer in a folder that is being filled, compressed where that is smaller.

    Args:
        folder: of the installation.
        name: relative, with slashes.
        content: as a browser is to see it.
    """
    packed = gzip.compress(content, compresslevel=9, mtime=0)
    compressed = len(packed) < len(content)
    stored = packed if compressed else content
    path = _stored_path(folder, name, compressed=compressed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stored)
    return StoredFile(digest=hashlib.sha256(stored).hexdigest(), compressed=compressed)


def write_manifest(folder: Path, files: Mapping[str, StoredFile]) -> None:
    """Write down what `store_file` stored, which makes the folder an installation."""
    (folder / MANIFEST).write_text(_manifest(files).model_dump_json(indent=1), encoding="utf-8")


def _manifest(files: Mapping[str, StoredFile]) -> _Manifest:
    return _Manifest(package=PACKAGE, integrity=INTEGRITY, prefix=PREFIX, layout=_LAYOUT, files=dict(files))


def _stored_path(folder: Path, name: str, *, compressed: bool) -> Path:
    return folder / _FILES / (name + _SUFFIX_COMPRESSED if compressed else name)
