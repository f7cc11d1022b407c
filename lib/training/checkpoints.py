"""Networks on disk, addressed by what they depend on."""

import io
import os
import pickle
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn

from lib.errors import InputError
from lib.storage.atomic import atomic_path

_DAY = 24 * 3600.0
_UNUSED_SECONDS = 30 * _DAY
# Between two looks; after a longer time the clock may have jumped, and nobody knows what was used meanwhile.
_LONGEST_PAUSE = 10 * _DAY


class CheckpointStore:
    """Checkpoints by key: what is there need not be trained again, by this run or a later one.

    Args:
        folder: where the checkpoints are; made when something is first written.
    """

    def __init__(self, folder: Path):
        self._folder = Path(folder)

    def path(self, key: str) -> Path:
        """File of the checkpoint with this key, whether it exists or not."""
        return self._folder / f"{key[:40]}.pt"

    def has(self, key: str) -> bool:
        """Whether the checkpoint is there; it is whole if it is."""
        return self.path(key).exists()

    def save(self, key: str, network: nn.Module) -> None:
        """Keep the network's weights; equal weights give equal files.

        Raises:
            StorageError: the folder cannot be written to, or the disk is full.
        """
        # Given a path, torch writes its name into the file, and hides what went wrong when the disk is full.
        buffer = io.BytesIO()
        torch.save(network.state_dict(), buffer)
        with atomic_path(self.path(key)) as temporary:
            temporary.write_bytes(buffer.getbuffer())

    def load(self, key: str, network: nn.Module) -> None:
        """Give the network the kept weights.

        Raises:
            InputError: the file is damaged or missing.
        """
        path = self.path(key)
        try:
            network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise InputError(f"{path}: is damaged and cannot be read; remove the file, then train again") from error
        os.utime(path)

    def forget(self, file: Path) -> None:
        """Remove the checkpoint that is the same file on disk as `file`, if one is."""
        if file.exists():
            for path in self._folder.glob("*.pt"):
                if path.samefile(file):
                    path.unlink()

    def mark_used(self, files: Iterable[Path]) -> None:
        """Keep checkpoints for another thirty days."""
        now = time.time()
        for file in files:
            os.utime(file, (now, now))

    def remove_unused(self) -> None:
        """Remove checkpoints that nothing used for thirty days; generations keep their own.

        A clock that jumped is no reason: where more than ten days or less than none seem to have passed since this
        was called last, all checkpoints are kept for another thirty days, and those "used" in the future as well.
        """
        now = time.time()
        looked = self._folder / "unused_removed_at"
        passed = now - looked.stat().st_mtime if looked.exists() else float("inf")
        is_clock_steady = 0 <= passed <= _LONGEST_PAUSE
        for path in self._folder.glob("*.pt"):
            unused = now - path.stat().st_mtime
            if is_clock_steady and unused > _UNUSED_SECONDS:
                path.unlink()
            elif not is_clock_steady or unused < 0:
                os.utime(path, (now, now))
        if self._folder.is_dir():
            looked.touch()
            os.utime(looked, (now, now))
