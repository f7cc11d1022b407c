"""The scoring method `estimated_dsc`: how good the prediction of each unlabelled scan is expected to be."""

import logging
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.scoring import ScoringMethod
from sqlalchemy import Engine

from apps.calibrated_ensemble.datastore_scans import ScanRegister, unlabelled_scans
from apps.calibrated_ensemble.pacs_studies import PacsStudies
from lib.ensemble import Ensemble
from lib.errors import InputError
from lib.generation import Generation
from lib.task import Task
from lib.workspace import Workspace
from scoring.scoring_run import PredictionListener, ScoredPrediction, score_scans

logger = logging.getLogger(__name__)

ESTIMATED_DSC = "estimated_dsc"


class _GenerationReplacedError(Exception):
    """A newer generation was published while an older one was scoring."""


class EstimatedDscScoring(ScoringMethod):
    """Scores, over `/scoring/estimated_dsc`, the unlabelled scans that the current generation has not.

    Args:
        task: names the region tag.
        workspace: where generations are.
        engine: from `scoring.database.open_database`.
        device: see `lib.devices.choose_device`.
        store_heatmaps: store the heatmap of each scan in the PACS, as DICOM Parametric Maps.
    """

    def __init__(self, *, task: Task, workspace: Workspace, engine: Engine, device: str, store_heatmaps: bool):
        super().__init__("Estimated DSC of each unlabelled scan, from the heatmap of the current generation")
        self._task = task
        self._workspace = workspace
        self._engine = engine
        self._device = device
        self._store_heatmaps = store_heatmaps

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:  # noqa: ARG002
        """Score what is missing; see `score_unlabelled`."""
        return score_unlabelled(
            datastore,
            ScanRegister(datastore, self._engine),
            task=self._task,
            workspace=self._workspace,
            engine=self._engine,
            device=self._device,
            store_heatmaps=self._store_heatmaps,
        )


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
                    on_prediction=_storing(datastore, ensemble.generation) if keeps else None,
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


def _storing(datastore: PacsStudies, generation: Generation) -> PredictionListener:
    def store(scan: str, prediction: ScoredPrediction) -> None:
        try:
            datastore.store_heatmap(scan, prediction.heatmap, classes=generation.task.classes, generation=generation.id)
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
