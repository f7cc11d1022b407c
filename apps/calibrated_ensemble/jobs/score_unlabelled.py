"""Scoring what has no score yet, and following a newer generation."""

import logging
from typing import Any

from monailabel.interfaces.datastore import Datastore
from sqlalchemy import Engine

from apps.calibrated_ensemble.datastores.pacs_studies import PacsStudies
from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from apps.calibrated_ensemble.jobs.scan_source import unlabelled_scans
from lib.errors import InputError
from lib.models.ensemble import Ensemble
from lib.models.prediction import Prediction
from lib.models.workspace import Workspace
from lib.task.task import Task
from scoring.score_scans import PredictionListener, score_scans

logger = logging.getLogger(__name__)


class _GenerationReplacedError(Exception):
    """A newer generation was published while an older one was scoring."""


def score_unlabelled(
    datastore: Datastore,
    register: ScanRegister,
    *,
    task: Task,
    workspace: Workspace,
    engine: Engine,
    device: str,
    store_heatmaps: bool = False,
) -> dict[str, Any]:
    """Score the unlabelled scans that have no score of the current generation.

    Runs in several processes take turns, and a run goes over to a generation that is published
    meanwhile. What a killed run had scored is kept. With `store_heatmaps`, the heatmap of each scan
    that is scored goes to the PACS; where it is not taken, the score stands all the same.

    Returns:
        `generation`, the numbers `scored` and `skipped`, `failed` (scan to reason), `seconds`; or
        a `message` alone before the first generation.

    Raises:
        InputError: the database cannot be used.
        UnreachableError: the PACS does not answer.
    """
    register.synchronise()
    with workspace.scoring_lock():
        while (current := workspace.current()) is not None:
            ensemble = Ensemble(workspace.generation(), device=device)
            keeps = store_heatmaps and isinstance(datastore, PacsStudies)
            try:
                report = score_scans(
                    engine,
                    ensemble,
                    unlabelled_scans(datastore, task),
                    progress=_Watch(workspace, current),
                    on_prediction=_storing(datastore) if keeps else None,
                )
            except _GenerationReplacedError:
                logger.info("Generation %s was replaced while it was scoring; going on with the new one", current)
                continue
            return {
                "generation": report.generation,
                "scored": report.scored,
                "skipped": report.skipped,
                "failed": dict(report.failed),
                "seconds": round(report.seconds, 3),
            }
    return {"generation": None, "message": "No model is trained yet: run the trainer `ensemble`, then score."}


def _storing(datastore: PacsStudies) -> PredictionListener:
    def store(scan: str, prediction: Prediction) -> None:
        try:
            datastore.store_heatmap(
                scan, prediction.heatmap, classes=prediction.classes, generation=prediction.generation
            )
        except InputError as error:
            logger.warning("The heatmap of scan %s is not stored: %s", scan, error)

    return store


class _Watch:
    """Logs how far a scoring run is, and ends it when its generation is no longer the current one."""

    def __init__(self, workspace: Workspace, generation: str):
        self._workspace = workspace
        self._generation = generation

    def __call__(self, stage: str, done: int, total: int, /, **figures: float) -> None:  # noqa: ARG002
        logger.info("%s: %d %% (%d of %d scans)", stage, 100 * done // max(1, total), done, total)
        if done < total and self._workspace.current() != self._generation:
            raise _GenerationReplacedError
