"""Image files of a folder by the names of their scans."""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lib.errors import InputError
from lib.images.files import SUFFIXES, scan_name
from lib.storage.file_names import UNUSABLE_NAME, composed, is_text, shown

logger = logging.getLogger(__name__)

NO_SCAN = "has no scan beside it and is not used"
"""What is said of a label or region mask whose scan is not there."""

_CHANNEL = re.compile(r"^(?P<scan>.+)_(?P<channel>\d{4})$")


@dataclass(frozen=True)
class NamedImages:
    """The images of a folder of scans or labels.

    Attributes:
        files: the image of each name, in the order of the names.
        ignored: files that are not used, each with the reason in a line.
    """

    files: Mapping[str, Path]
    ignored: Mapping[Path, str]


def name_images(folder: Path) -> NamedImages:
    """List the images of a folder of scans or labels; suffixes count in any case, hidden files are left out.

    Where one name has several files, the one written last counts, since a viewer that saves another
    format leaves the older file where it is; of two written at once, the one whose name sorts last. A
    link to a file that is not there is none. A folder that is not there holds nothing. A name that is
    spelled in two ways of Unicode (NFC, NFD) is one; a file whose name is no text is not used.
    """
    found: dict[str, Path] = {}
    ignored: dict[Path, str] = {}
    for entry in _image_entries(folder):
        path = folder / entry.name
        if not is_text(entry.name):
            ignored[path] = f"{UNUSABLE_NAME}, until then it is not used"
            continue
        if entry.is_symlink() and not path.exists():
            ignored[path] = "links to a file that is not there, and is not used"
            continue
        name = scan_name(path)
        other = found.get(name)
        if other is not None:
            path, older = (path, other) if _written(path) > _written(other) else (other, path)
            ignored[older] = f"is not used: {path.name} has the same name and was written later"
        found[name] = path
    return NamedImages(dict(sorted(found.items())), ignored)


def find_image(folder: Path, name: str) -> Path | None:
    """Give the image of a name as `name_images` does; None when there is none."""
    name = composed(name)
    files = [folder / entry.name for entry in _image_entries(folder) if scan_name(entry.name) == name]
    named = [path for path in files if path.exists()]
    return max(named, key=_written, default=None)


def image_paths(folder: Path) -> list[Path]:
    """List all image files of a folder, and links that look like some, in the order of their names."""
    return sorted(folder / entry.name for entry in _image_entries(folder))


def files_by_name(folder: Path) -> dict[str, Path]:
    """List the images of a folder of a data set as `name_images` does, and tell in the log what is not used.

    Raises:
        InputError: the folder is missing or holds no image.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a folder of {', '.join(SUFFIXES)} files")
    images = name_images(folder)
    for path, reason in images.ignored.items():
        logger.warning("%s: %s", shown(path), reason)
    if not images.files:
        raise InputError(f"{folder}: holds no {', '.join(SUFFIXES)} files; give a folder that does")
    return dict(images.files)


def name_scans(files: Mapping[str, Path], labels: Iterable[str], *, where: Path) -> dict[str, Path]:
    """Name the scans of a data set: as their files (Decathlon), or without the channel (nnU-Net).

    Args:
        files: scans, from `files_by_name`.
        labels: names of the labels or region masks; none when there are none.
        where: the folder, for messages.

    Returns:
        Scans by the name that their label has or would have.

    Raises:
        InputError: a scan has several channels.
    """
    labels = set(labels)
    channels = {name: match for name in files if (match := _CHANNEL.match(name))}
    if labels & set(files) or len(channels) < len(files):
        return dict(files)
    counts = Counter(match["scan"] for match in channels.values())
    if labels:
        is_nnunet = bool(labels & set(counts))
    else:
        # Numbered scans such as scan_0001, scan_0002 are many channels of one case at first sight.
        starts = sum(match["channel"] == "0000" for match in channels.values())
        is_nnunet = starts == len(counts) and (len(counts) > 1 or len(files) == 1)
    if not is_nnunet:
        return dict(files)
    several = [scan for scan, count in counts.items() if count > 1]
    if several:
        raise InputError(
            f"{where}: {several[0]} has {counts[several[0]]} channels, and a scan is one image; "
            "give a folder with one channel of each scan"
        )
    return {match["scan"]: files[name] for name, match in channels.items()}


def _image_entries(folder: Path) -> list[os.DirEntry[str]]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return [
            entry
            for entry in entries
            if not entry.name.startswith(".") and entry.name.lower().endswith(SUFFIXES) and not _is_folder(entry)
        ]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # A link in a circle, or through a file, leads to none; the entry itself would raise.
    return Path(entry.path).is_dir() if entry.is_symlink() else entry.is_dir()


def _written(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name
