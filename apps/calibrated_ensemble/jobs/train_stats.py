"""How far a training is, in a file that the server reads, since training is a process of its own."""

import json
import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from lib.storage.atomic import write_text

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_WRITES = 1.0


class TrainStats:
    """Writes the figures of one training, with the keys that OHIF and 3D Slicer read.

    `epoch` and `total_epochs` count optimiser steps, `best_metric` is a mean DSC in 0..1;
    `current_time` is there while it runs, `total_time` once it has ended.

    Args:
        path: file of the trainer; written whole, at most once a second.
    """

    def __init__(self, path: Path):
        self._path = path
        self._start = time.time()
        self._written = 0.0
        self._logged = ("", -1)
        self._stats: dict[str, Any] = {
            "start_ts": int(self._start),
            "stage": "starting",
            "epoch": 0,
            "total_epochs": 1,
            "best_metric": _best_metric(path),
        }
        self._write(current=True)

    def __call__(self, stage: str, done: int, total: int, /, **figures: float) -> None:
        """Report progress, as `lib.progress.Progress` describes."""
        total = max(1, total)
        self._stats["stage"] = stage
        if stage == "training":
            self._stats.update({"epoch": done, "total_epochs": total, "train": {"metrics": dict(figures)}})
        percent = 100 * done // total
        now = time.time()
        if now - self._written >= _SECONDS_BETWEEN_WRITES or done >= total:
            if self._logged != (stage, percent):
                shown = "".join(f", {name} {value:.3g}" for name, value in figures.items())
                logger.info("%s: %d %% (%d of %d)%s", stage, percent, done, total, shown)
                self._logged = (stage, percent)
            self._write(current=True)

    def finish(self, *, generation: str | None, dice: Mapping[str, float | None] | None) -> dict[str, Any]:
        """Write the figures of a training that ended well, and give them.

        Args:
            generation: id of the published generation; None while other trainers must run.
            dice: cross-validated DSC per class; None without a generation.
        """
        known = [value for value in (dice or {}).values() if value is not None]
        if known:
            self._stats["best_metric"] = sum(known) / len(known)
            self._stats["eval"] = {"metrics": dict(dice or {}), "key_metric_name": "cross-validated mean DSC"}
        self._stats |= {"stage": "finished", "generation": generation, "epoch": self._stats["total_epochs"]}
        self._write(current=False)
        return dict(self._stats)

    def fail(self, reason: str) -> None:
        """Write that the training ended with an error."""
        self._stats |= {"stage": "failed", "error": reason}
        self._write(current=False)

    def _write(self, *, current: bool) -> None:
        elapsed = str(timedelta(seconds=int(time.time() - self._start)))
        self._stats.pop("current_time", None)
        self._stats["current_time" if current else "total_time"] = elapsed
        write_text(self._path, json.dumps(self._stats, indent=1))
        self._written = time.time()


def read_train_stats(path: Path) -> dict[str, Any]:
    """Read the figures of a trainer, empty before its first run; so is a damaged file, which the next run replaces."""
    try:
        return dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        logger.warning("%s: is damaged (%s); the next training writes it again", path, error)
        return {}


def _best_metric(path: Path) -> float:
    # Until the new training ends, the accuracy of the model that is served is the one to show.
    known = read_train_stats(path).get("best_metric")
    return float(known) if isinstance(known, int | float) else 0.0
