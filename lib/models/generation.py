"""One complete training run on one state of the labels, immutable once published."""

import json
import pickle
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lib.calibration.base import Calibration
from lib.calibration.registry import CALIBRATORS
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics
from lib.errors import DamagedGenerationError
from lib.models.method import Method
from lib.preprocessing.plan import Plan
from lib.storage.digest import digest_file, digest_settings
from lib.task.task import Task

_MANIFEST = "manifest.json"

_STATISTICS = "statistics.npz"


@dataclass(frozen=True)
class Findings:
    """What training and cross-validation found.

    Attributes:
        w_dsc: loss weight with the best mean DSC, one per class.
        statistics: what calibrations are fitted to, over all labelled scans; of no scan for a baseline.
        calibration: that of the task's `heatmap`.
        folds: patient to fold; for a baseline, whose networks have seen all patients, that of the
            cross-validation beside it.
        typical_volumes: mean volume of each class in mm3, over the labelled scans that hold it.
        metrics: cross-validated figures, see `lib.ensemble_training.train`.
    """

    w_dsc: tuple[float, ...]
    statistics: OutOfFoldStatistics
    calibration: Calibration
    folds: Mapping[str, int]
    typical_volumes: tuple[float, ...]
    metrics: Mapping[str, Any]


@dataclass(frozen=True)
class Generation:
    """A published generation.

    Attributes:
        id: time of publication and the first digits of `key`.
        key: digest of what it depends on: labels, scans and settings.
        method: how its networks were made to differ.
        labels_digest: digest of the labelled scans and their classes; equal for generations that can be compared.
        path: its folder.
        task: settings it was trained with.
        plan: preprocessing it was trained with.
        findings: see `Findings`.
    """

    id: str
    key: str
    method: Method
    labels_digest: str
    path: Path
    task: Task
    plan: Plan
    findings: Findings = field(repr=False)

    @property
    def calibration(self) -> Calibration:
        """Turns the members' outputs into the heatmap."""
        return self.findings.calibration

    @property
    def typical_volumes(self) -> tuple[float, ...]:
        """Mean volume of each class in mm3, over the labelled scans that hold it."""
        return self.findings.typical_volumes

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Cross-validated figures."""
        return self.findings.metrics

    def statistics_without(self, scan: str) -> OutOfFoldStatistics:
        """What calibrations are fitted to, without one scan, so that they can be judged by it.

        Args:
            scan: name of a scan; nothing is taken out for one that was not trained on.

        Raises:
            DamagedGenerationError: the scan's file is unreadable.
        """
        path = self.path / _statistics_name(scan)
        if not path.exists():
            return self.findings.statistics
        return self.findings.statistics - _read_statistics(path)

    def load_member(self, fold: int, offset: int) -> dict[str, torch.Tensor]:
        """Weights of one member.

        Args:
            fold: 0..fold_count - 1.
            offset: position in `task.offsets`.

        Raises:
            DamagedGenerationError: the file is missing or holds no weights.
        """
        path = self.path / _member_name(fold, offset)
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise DamagedGenerationError(f"{path}: cannot be read as weights; train again") from error

    def verify(self) -> None:
        """Compare every file with the manifest.

        Raises:
            DamagedGenerationError: a file is missing or differs.
        """
        for file in damaged_files(self.path):
            state = "differs from what was published" if file.is_file() else "is missing"
            raise DamagedGenerationError(f"{file}: {state}; train again to publish a whole generation")


def read_generation(path: Path) -> Generation:
    """Read a published generation; the weights stay on disk.

    Raises:
        DamagedGenerationError: a file is missing or unreadable.
    """
    manifest = _read_json(path / _MANIFEST)
    calibration = _read_json(path / "calibration.json")
    statistics = _read_statistics(path / _STATISTICS)
    try:
        task = Task.model_validate(_read_json(path / "task.json"))
        return Generation(
            id=manifest["id"],
            key=manifest["key"],
            method=Method(manifest["method"]),
            labels_digest=manifest["labels_digest"],
            path=path,
            task=task,
            plan=Plan.model_validate(_read_json(path / "plan.json")),
            findings=Findings(
                w_dsc=tuple(calibration["w_dsc"]),
                statistics=statistics,
                calibration=CALIBRATORS[calibration["heatmap"]].fitted.model_validate(calibration["fitted"]),
                folds=_read_json(path / "folds.json"),
                typical_volumes=tuple(calibration["typical_volumes"]),
                metrics=_read_json(path / "metrics.json"),
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedGenerationError(f"{path}: its settings cannot be read ({reason}); train again") from error


def damaged_files(path: Path) -> list[Path]:
    """Files of a generation that are missing or not as published; the manifest itself where it is unreadable."""
    try:
        published = _read_json(path / _MANIFEST)["files"]
    except (DamagedGenerationError, KeyError, TypeError):
        return [path / _MANIFEST]
    files = {path / name: digest for name, digest in published.items()}
    return [file for file, digest in files.items() if not file.is_file() or digest_file(file) != digest]


def find_generation(folder: Path, key: str) -> Generation | None:
    """Give the published generation with this key, None when there is none."""
    for path in sorted(folder.glob(f"*-{key[:8]}"), reverse=True):
        generation = read_generation(path)
        if generation.key == key:
            return generation
    return None


def _member_name(fold: int, offset: int) -> str:
    return f"members/fold_{fold}_offset_{offset}.pt"


def _statistics_name(scan: str) -> str:
    # Names of scans may be longer than names of files.
    return f"out_of_fold/{digest_settings(scan)[:40]}.npz"


def _read_statistics(path: Path) -> OutOfFoldStatistics:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return OutOfFoldStatistics.from_arrays(arrays)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DamagedGenerationError(f"{path}: cannot be read ({error}); train again") from error


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedGenerationError(f"{path}: cannot be read ({error}); train again") from error
