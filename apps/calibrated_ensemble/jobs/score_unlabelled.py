"""Scoring what has no score yet, and following a newer generation."""

import logging
from typing import Any

from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from apps.calibrated_ensemble.project import Project
from lib.datasets.scan_source import ScanSource
from lib.models.ensemble import Ensemble
from lib.models.workspace import Workspace
from lib.progress import Progress
from scoring.score_scans import ScoringReport, score_scans

logger = logging.getLogger(__name__)


class _GenerationReplacedError(Exception):
    """A newer generation was published while an older one was scoring."""


def score_unlabelled(project: Project, scans: ScanSource, *, progress: Progress) -> ScoringReport:
    """Score the unlabelled scans that have no score of the current generation.

    The database is brought up to date with the source first. Runs in several processes take turns,
    and a run goes over to a generation that is published meanwhile. What a killed run had scored is kept.

    Args:
        project: whose generation scores.
        scans: where scans come from, and what heatmaps are offered to.
        progress: stage "scoring", see `scoring.score_scans.score_scans`.

    Raises:
        NotTrainedError: there is no generation yet.
        InputError: see `lib.datasets.scan_source.ScanSource.names`, or there is no such device.
        StorageError: a disk is full, or the database cannot be used.
        UnreachableError: the PACS does not answer.
        DamagedGenerationError: the generation's files are not as published.
    """
    ScanRegister(scans, project.engine).synchronise()
    with project.workspace.scoring_lock():
        while True:
            generation = project.workspace.generation()
            ensemble = Ensemble(generation, device=project.device)
            try:
                return score_scans(
                    project.engine,
                    ensemble,
                    scans.unlabelled(),
                    progress=_Watch(project.workspace, generation.id, progress),
                    on_prediction=scans.keep_heatmap,
                )
            except _GenerationReplacedError:
                logger.info("Generation %s was replaced while it was scoring; going on with the new one", generation.id)


def scoring_figures(report: ScoringReport) -> dict[str, Any]:
    """What a scoring run did, as JSON."""
    return {
        "generation": report.generation,
        "scored": report.scored,
        "skipped": report.skipped,
        "failed": dict(report.failed),
        "seconds": round(report.seconds, 3),
    }


class _Watch:
    """Hands progress on, and ends a scoring run when its generation is no longer the current one."""

    def __init__(self, workspace: Workspace, generation: str, progress: Progress):
        self._workspace = workspace
        self._generation = generation
        self._progress = progress

    def __call__(self, stage: str, done: int, total: int, /, **figures: float) -> None:
        self._progress(stage, done, total, **figures)
        if done < total and self._workspace.current() != self._generation:
            raise _GenerationReplacedError
