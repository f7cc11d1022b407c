"""Image files of a folder by the names of their scans."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from lib.errors import InputError
from lib.images.files import SUFFIXES, scan_name

_CHANNEL = re.compile(r"^(?P<scan>.+)_(?P<channel>\d{4})$")


def files_by_name(folder: Path) -> dict[str, Path]:
    """List the images of a folder by their names without suffix, in the order of the names.

    Raises:
        InputError: the folder is missing or holds no image, or two files have the same name.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a folder of {', '.join(SUFFIXES)} files")
    files = _distinct(folder)
    if not files:
        raise InputError(f"{folder}: holds no {', '.join(SUFFIXES)} files; give a folder that does")
    return files


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


def _image_files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".") and not path.is_dir()
    )


def _distinct(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in _image_files(folder):
        name = scan_name(path)
        if name in found:
            raise InputError(f"{path}: has the same name as {found[name].name}; keep one file for each scan")
        found[name] = path
    return found


def _newest(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    readable = [path for path in _image_files(folder) if path.exists()]
    by_age = sorted(readable, key=lambda path: (path.stat().st_mtime_ns, path.name))
    return dict(sorted({scan_name(path): path for path in by_age}.items()))
