"""The scoring method `estimated_dsc`: how good the prediction of each unlabelled scan is expected to be."""

from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.scoring import ScoringMethod
from sqlalchemy import Engine

from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from apps.calibrated_ensemble.jobs.score_unlabelled import score_unlabelled
from lib.models.workspace import Workspace
from lib.task.task import Task

ESTIMATED_DSC = "estimated_dsc"


class EstimatedDscScoring(ScoringMethod):
    """Scores, over `/scoring/estimated_dsc`, the unlabelled scans that the current generation has not.

    Args:
        task: names the region tag.
        workspace: where generations are.
        engine: from `scoring.database.engine.open_database`.
        device: see `lib.networks.devices.choose_device`.
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
