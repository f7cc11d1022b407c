"""The files of a generation: their names, the manifest that lists them, and whether they are as published."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics
from lib.errors import DamagedGenerationError
from lib.models.kinds.method import Method
from lib.storage.arrays import read_arrays
from lib.storage.digest import digest_file, digest_settings

MANIFEST = "manifest.json"
TASK = "task.json"
PLAN = "plan.json"
CALIBRATION = "calibration.json"
FOLDS = "folds.json"
METRICS = "metrics.json"
STATISTICS = "statistics.npz"
LABELS = "labels.json"
MEMBERS = "members"
EVALUATIONS = "out_of_fold"

_TIME = "%Y%m%dT%H%M%S"


@dataclass(frozen=True)
class Manifest:
    """What is known of a generation before its settings are read.

    Attributes:
        id: time of publication and the first digits of `key`.
        key: digest of what it depends on: labels, scans and settings.
        method: name of its kind.
        labels_digest: digest of the labelled scans and their classes; equal for generations that can be compared.
        files: digest of each file by its path in the folder.
    """

    id: str
    key: str
    method: Method
    labels_digest: str
    files: dict[str, str]


def member_name(fold: int, offset_index: int) -> str:
    """Path of a member's weights in the folder."""
    return f"{MEMBERS}/fold_{fold}_offset_{offset_index}.pt"


def evaluation_name(scan: str) -> str:
    """Path of a labelled scan's part of the statistics in the folder."""
    # Names of scans may be longer than names of files.
    return f"{EVALUATIONS}/{digest_settings(scan)[:40]}.npz"


def generation_id(time: datetime, key: str) -> str:
    """Name of the folder of a generation that is published at this time, in UTC."""
    return _folder_name(f"{time:{_TIME}}", key)


def published_at(generation: str) -> datetime:
    """When the generation of this name was published, in UTC."""
    return datetime.strptime(generation.split("-", 1)[0], _TIME).replace(tzinfo=UTC)


def _folder_name(time: str, key: str) -> str:
    return f"{time}-{key[:8]}"


def folders_with_key(generations: Path, key: str) -> Iterator[Path]:
    """Folders whose name says that their generation may have this key, the newest first."""
    yield from sorted(generations.glob(_folder_name("*", key)), reverse=True)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest alone.

    Raises:
        DamagedGenerationError: it is missing or unreadable.
    """
    stored = read_json(folder / MANIFEST)
    try:
        return Manifest(
            id=stored["id"],
            key=stored["key"],
            method=Method(stored["method"]),
            labels_digest=stored["labels_digest"],
            files=dict(stored["files"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedGenerationError(f"{folder / MANIFEST}: cannot be read ({error}); train again") from error


def damaged_files(folder: Path) -> list[Path]:
    """Files of a generation that are missing or not as published; the manifest itself where it is unreadable."""
    try:
        published = read_manifest(folder).files
    except DamagedGenerationError:
        return [folder / MANIFEST]
    files = {folder / name: digest for name, digest in published.items()}
    return [file for file, digest in files.items() if is_damaged(file, digest)]


def is_damaged(file: Path, digest: str) -> bool:
    """Whether a file is missing, or differs from what was published."""
    return not file.is_file() or digest_file(file) != digest


def read_statistics(file: Path) -> OutOfFoldStatistics:
    """Read what calibrations are fitted to.

    Raises:
        DamagedGenerationError: the file is missing or unreadable.
    """
    try:
        arrays = read_arrays(file)
    except ValueError as error:
        raise DamagedGenerationError(f"{error}; train again") from error
    try:
        return OutOfFoldStatistics.from_arrays(arrays)
    except (ValueError, KeyError) as error:
        raise DamagedGenerationError(f"{file}: cannot be read ({error}); train again") from error


def read_json(file: Path) -> Any:
    """Read a JSON file of a generation.

    Raises:
        DamagedGenerationError: the file is missing or unreadable.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedGenerationError(f"{file}: cannot be read ({error}); train again") from error


def write_json(file: Path, value: Any) -> None:
    """Write a JSON file of a generation that is not yet published.

    Raises:
        ValueError: the value holds a number that JSON does not know.
    """
    file.write_text(json.dumps(value, indent=1, allow_nan=False), encoding="utf-8")
