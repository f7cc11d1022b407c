"""One complete training run on one state of the labels, immutable once published."""

import pickle
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from lib.calibration.base import Calibration
from lib.calibration.registry import CALIBRATORS
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics
from lib.errors import DamagedGenerationError
from lib.models.generation_folder import (
    CALIBRATION,
    FOLDS,
    LABELS,
    MANIFEST,
    METRICS,
    PLAN,
    STATISTICS,
    TASK,
    evaluation_name,
    is_damaged,
    member_name,
    published_at,
    read_json,
    read_manifest,
    read_statistics,
)
from lib.models.kinds.kind import EnsembleKind
from lib.models.kinds.method import Method
from lib.models.kinds.registry import KINDS
from lib.preprocessing.plan import Plan
from lib.storage.file_names import composed
from lib.storage.locks import reading
from lib.task.task import Task

# Of a class that was found at all, small or badly; below are chance overlaps.
_FOUND = 0.01


@dataclass(frozen=True)
class Generation:
    """A published generation; weights and statistics stay on disk until they are asked for.

    Attributes:
        id: time of publication and the first digits of `key`.
        key: digest of what it depends on: labels, scans and settings.
        method: name of its kind: how its networks were made to differ.
        labels_digest: digest of the labelled scans and their classes; equal for generations that can be compared.
        path: its folder.
        task: settings it was trained with.
        plan: preprocessing it was trained with.
        w_dsc: loss weight with the best mean DSC, one per class.
        calibration: turns the members' outputs into the heatmap.
        fold_of_patient: patient to fold; for a baseline, whose networks have seen all patients, that of the
            cross-validation beside it.
        typical_volumes: mean volume of each class in mm3, over the labelled scans that hold it.
        metrics: cross-validated figures, see `lib.ensemble_training.cross_validated`.
    """

    id: str
    key: str
    method: Method
    labels_digest: str
    path: Path
    task: Task
    plan: Plan
    w_dsc: tuple[float, ...]
    calibration: Calibration
    fold_of_patient: Mapping[str, int] = field(repr=False)
    typical_volumes: tuple[float, ...]
    metrics: Mapping[str, Any] = field(repr=False)

    @property
    def published(self) -> datetime:
        """When it was published, in UTC."""
        return published_at(self.id)

    @property
    def kind(self) -> EnsembleKind:
        """How its networks were made to differ."""
        return KINDS[self.method]

    @property
    def doubtful_classes(self) -> Mapping[str, float]:
        """Classes whose heatmap tells nothing of how good a segmentation is, with the DSC to expect of it instead.

        These are classes that cross-validation did not find in any scan, because too few scans hold them or their
        members learned nothing, and classes whose calibration does not rise with the members' confidence. The DSC is
        the cross-validated one, 0 where no scan tells. A baseline, which is never served, has none.
        """
        if self.kind.is_baseline:
            return {}
        dice = {name: self.metrics["dice"][name] or 0.0 for name in self.task.classes}
        rises = zip(self.task.classes, self.calibration.rises, strict=True)
        return {name: dice[name] for name, class_rises in rises if not class_rises or dice[name] < _FOUND}

    @cached_property
    def statistics(self) -> OutOfFoldStatistics:
        """What calibrations are fitted to, over all labelled scans; of no scan for a baseline.

        Raises:
            DamagedGenerationError: the file is missing or unreadable.
        """
        return read_statistics(self.path / STATISTICS)

    @property
    def label_digests(self) -> Mapping[str, str] | None:
        """Digest of each label that it was trained on, by the scan's name; None where an old program published it.

        Raises:
            DamagedGenerationError: the file is unreadable.
        """
        path = self.path / LABELS
        return dict(read_json(path)) if path.exists() else None

    def statistics_of(self, scan: str) -> OutOfFoldStatistics:
        """One labelled scan's part of `statistics`.

        Args:
            scan: name of a scan that it was trained on.

        Raises:
            DamagedGenerationError: the scan's file is missing or unreadable.
        """
        return read_statistics(self.path / evaluation_name(scan))

    def statistics_without(self, scan: str) -> OutOfFoldStatistics:
        """What calibrations are fitted to, without one scan, so that they can be judged by it.

        Args:
            scan: name of a scan; nothing is taken out for one that was not trained on.

        Raises:
            DamagedGenerationError: the scan's file is unreadable.
        """
        is_part = (self.path / evaluation_name(scan)).exists()
        return self.statistics - self.statistics_of(scan) if is_part else self.statistics

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep the files from being pruned as long as the block lasts.

        Raises:
            DamagedGenerationError: there is no manifest.
        """
        try:
            with reading(self.path / MANIFEST):
                yield
        except FileNotFoundError as error:
            raise DamagedGenerationError(f"{error.filename}: is missing; train again") from error

    def load_member(self, fold: int, offset_index: int) -> dict[str, torch.Tensor]:
        """Weights of one member.

        Args:
            fold: 0..fold_count - 1.
            offset_index: position in `task.offsets`.

        Raises:
            DamagedGenerationError: the file is missing or holds no weights.
        """
        path = self.path / member_name(fold, offset_index)
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise DamagedGenerationError(f"{path}: cannot be read as weights; train again") from error

    def verify(self, folds: Collection[int] | None = None) -> None:
        """Compare the files with the manifest.

        Args:
            folds: whose members matter; those of other folds are not compared. None compares every file.

        Raises:
            DamagedGenerationError: a file is missing or differs.
        """
        others = set(range(self.task.fold_count)) - set(folds) if folds is not None else set()
        skipped = {member_name(fold, number) for fold in others for number in range(len(self.task.offsets))}
        for name, digest in read_manifest(self.path).files.items():
            file = self.path / name
            if name not in skipped and is_damaged(file, digest):
                state = "differs from what was published" if file.is_file() else "is missing"
                raise DamagedGenerationError(f"{file}: {state}; train again to publish a whole generation")


def _read_folds(file: Path) -> dict[str, int]:
    try:
        folds = TypeAdapter(dict[str, int]).validate_python(read_json(file))
    except ValidationError as error:
        raise DamagedGenerationError(f"{file}: holds no folds of patients; train again") from error
    # Earlier versions kept names as the files were spelled.
    return {composed(patient): fold for patient, fold in folds.items()}


def read_generation(path: Path) -> Generation:
    """Read the settings of a published generation.

    Raises:
        DamagedGenerationError: a file is missing or unreadable.
    """
    manifest = read_manifest(path)
    calibration = read_json(path / CALIBRATION)
    try:
        return Generation(
            id=manifest.id,
            key=manifest.key,
            method=manifest.method,
            labels_digest=manifest.labels_digest,
            path=path,
            task=Task.model_validate(read_json(path / TASK)),
            plan=Plan.model_validate(read_json(path / PLAN)),
            w_dsc=tuple(calibration["w_dsc"]),
            calibration=CALIBRATORS[calibration["heatmap"]].fitted.model_validate(calibration["fitted"]),
            fold_of_patient=_read_folds(path / FOLDS),
            typical_volumes=tuple(calibration["typical_volumes"]),
            metrics=read_json(path / METRICS),
        )
    except (KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedGenerationError(f"{path}: its settings cannot be read ({reason}); train again") from error
