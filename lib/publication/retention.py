"""Removing generations that nobody needs any more, with the members and evaluations that only they used."""

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lib.models.generation_folder import MANIFEST, published_at
from lib.models.workspace import Workspace
from lib.publication.listing import generation_folders, predecessor
from lib.storage.locks import is_read

_HOURS_OF_A_TRAINING = 48


@dataclass(frozen=True)
class Pruning:
    """What was removed, or would be.

    Attributes:
        removed: ids of generations.
        read: ids of generations that stay because they are being read.
        files: number of members and evaluations that nothing refers to.
        bytes: of disk that are freed; a file that a kept generation holds as well frees nothing.
    """

    removed: tuple[str, ...]
    read: tuple[str, ...]
    files: int
    bytes: int


def prune(workspace: Workspace, *, keep: int, days: float | None = None, dry_run: bool = False) -> Pruning:
    """Keep the newest generations, and the current one and its predecessor whatever their age.

    Members and evaluations go that no kept generation holds and that are older than `_HOURS_OF_A_TRAINING`, so that
    an interrupted training still finds what it had finished.

    Args:
        workspace: what is pruned.
        keep: how many generations stay at least, of all kinds.
        days: those younger than this stay as well; None for no such rule.
        dry_run: only say what would go.

    Raises:
        BusyError: a training runs in this workspace.
        StorageError: a file cannot be removed.
    """
    with workspace.training_lock():
        folders = generation_folders(workspace)
        before = predecessor(workspace)
        kept = {workspace.current(), before.id if before else None, *(folder.name for folder in folders[:keep])}
        if days is not None:
            oldest = datetime.now(UTC) - timedelta(days=days)
            kept |= {folder.name for folder in folders if published_at(folder.name) > oldest}
        wanted = [folder for folder in folders if folder.name not in kept]
        read = [folder for folder in wanted if is_read(folder / MANIFEST)]
        removed = [folder for folder in wanted if folder not in read]
        held = {_identity(file) for folder in folders if folder not in removed for file in _files(folder)}
        orphans = [
            file
            for file in (*workspace.members.glob("*.pt"), *workspace.out_of_fold.glob("*.npz"))
            if _identity(file) not in held and time.time() - file.stat().st_mtime > 3600 * _HOURS_OF_A_TRAINING
        ]
        freed = _freed([*orphans, *(file for folder in removed for file in _files(folder))])
        if not dry_run:
            for folder in removed:
                # In one step, so that nobody finds half a generation.
                gone = folder.rename(folder.with_name(f".tmp-removed-{folder.name}"))
                shutil.rmtree(gone)
            for file in orphans:
                file.unlink()
    return Pruning(tuple(folder.name for folder in removed), tuple(folder.name for folder in read), len(orphans), freed)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []


def _identity(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_dev, status.st_ino


def _freed(files: Iterable[Path]) -> int:
    """Bytes of the files all of whose names are among these."""
    statuses: dict[tuple[int, int], os.stat_result] = {}
    names: Counter[tuple[int, int]] = Counter()
    for file in files:
        key = _identity(file)
        statuses[key] = file.stat()
        names[key] += 1
    return sum(status.st_size for key, status in statuses.items() if names[key] >= status.st_nlink)
