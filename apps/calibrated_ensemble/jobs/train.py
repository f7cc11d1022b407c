"""Training on what is labelled, and scoring the rest with what came of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apps.calibrated_ensemble.jobs.score_unlabelled import score_unlabelled
from apps.calibrated_ensemble.project import Project
from lib.datasets.scan_source import ScanSource
from lib.ensemble_training.train import Gate, train_ensemble
from lib.models.generation import Generation
from lib.models.kinds.kind import EnsembleKind
from lib.models.kinds.registry import CALIBRATED
from lib.progress import Progress
from scoring.score_scans import ScoringReport


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Attributes:
        generation: what was published; None while members of other loss weights are missing.
        scoring: what was scored afterwards; None for a baseline, which is never served, and where nothing is served.
        seconds: of the training, without the scoring.
    """

    generation: Generation | None
    scoring: ScoringReport | None
    seconds: float


def train(
    project: Project,
    scans: ScanSource,
    *,
    kind: EnsembleKind = CALIBRATED,
    offsets: Sequence[float] | None = None,
    progress: Progress,
    gate: Gate | None = None,
    on_published: Callable[[Generation], None] | None = None,
) -> Trained:
    """Train the members that are missing, publish when all are there, and score the unlabelled scans.

    Args:
        project: settings, and where everything is kept.
        scans: where labelled and unlabelled scans come from.
        kind: how networks are made to differ; a baseline is kept for comparison and scores nothing.
        offsets: loss weights relative to w^DSC; None for all.
        progress: stages of `lib.ensemble_training.train.train_ensemble`, then "scoring".
        gate: see `lib.ensemble_training.train.train_ensemble`; scans are scored with whatever is served afterwards.
        on_published: told the generation before scoring starts.

    Raises:
        InputError: see `lib.ensemble_training.train.train_ensemble`.
        BusyError: another training runs in this workspace.
        StorageError: a disk is full, or the database cannot be used.
        UnreachableError: the PACS does not answer.
        FloatingPointError: the training diverged.
    """
    start = time.monotonic()
    generation = train_ensemble(
        project.task,
        scans.labelled(),
        project.workspace,
        kind=kind,
        offsets=offsets,
        device=project.device,
        progress=progress,
        gate=gate,
    )
    seconds = time.monotonic() - start
    if generation is None:
        return Trained(None, None, seconds)
    if on_published is not None:
        on_published(generation)
    has_model = project.workspace.current() is not None
    scoring = None if kind.is_baseline or not has_model else score_unlabelled(project, scans, progress=progress)
    return Trained(generation, scoring, seconds)
