"""The trainers: one for each loss weight, and `ensemble` for everything."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.train import TrainTask
from sqlalchemy import Engine

from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from apps.calibrated_ensemble.jobs.scan_source import labelled_scans
from apps.calibrated_ensemble.jobs.score_unlabelled import score_unlabelled
from apps.calibrated_ensemble.jobs.train_stats import TrainStats, read_train_stats
from lib.ensemble_training.train import train_ensemble
from lib.models.workspace import Workspace
from lib.task.task import Task

logger = logging.getLogger(__name__)

ENSEMBLE = "ensemble"


def trainer_name(offset: float) -> str:
    """Name of the trainer of one loss weight, such as `loss_weight_minus_3` or `loss_weight_plus_0_5`."""
    if offset == 0:
        return "loss_weight_0"
    sign = "plus" if offset > 0 else "minus"
    return f"loss_weight_{sign}_{abs(offset):g}".replace(".", "_")


class EnsembleTrainer(TrainTask):
    """Trains members, and publishes and scores when all of them are there.

    Args:
        name: of the trainer, which also names its file of figures.
        description: for people.
        offsets: loss weights relative to w^DSC; None for all.
        task: settings.
        workspace: where everything is kept.
        engine: from `scoring.database.engine.open_database`.
        device: see `lib.networks.devices.choose_device`.
        store_heatmaps: see `score_unlabelled`.
    """

    def __init__(
        self,
        name: str,
        description: str,
        *,
        offsets: Sequence[float] | None,
        task: Task,
        workspace: Workspace,
        engine: Engine,
        device: str,
        store_heatmaps: bool,
    ):
        super().__init__(description)
        self._offsets = offsets
        self._task = task
        self._workspace = workspace
        self._engine = engine
        self._device = device
        self._store_heatmaps = store_heatmaps
        self._stats_path: Path = workspace.root / "train_stats" / f"{name}.json"

    def stats(self) -> dict[str, Any]:
        """Figures of the last or present run, for the `train_stats` of `/info/`."""
        return read_train_stats(self._stats_path)

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:  # noqa: ARG002
        """Train on the datastore's labelled scans.

        Args:
            request: as MONAI Label's; the settings come from the task alone.
            datastore: where scans and labels are.

        Returns:
            Figures of the run, with the id of the `generation` when one is complete.

        Raises:
            InputError: see `lib.ensemble_training.train.train_ensemble`.
        """
        stats = TrainStats(self._stats_path)
        try:
            generation = train_ensemble(
                self._task,
                labelled_scans(datastore, self._task),
                self._workspace,
                offsets=self._offsets,
                device=self._device,
                progress=stats,
            )
        except Exception as error:
            stats.fail(str(error))
            raise
        if generation is None:
            logger.info("Members of other loss weights are missing; run their trainers, or `%s`", ENSEMBLE)
            return stats.finish(generation=None, dice=None)
        logger.info("Generation %s is published", generation.id)
        figures = stats.finish(generation=generation.id, dice=generation.metrics["dice"])
        figures["scoring"] = score_unlabelled(
            datastore,
            ScanRegister(datastore, self._engine),
            task=self._task,
            workspace=self._workspace,
            engine=self._engine,
            device=self._device,
            store_heatmaps=self._store_heatmaps,
        )
        return figures


def make_trainers(
    task: Task, *, workspace: Workspace, engine: Engine, device: str, store_heatmaps: bool
) -> dict[str, TrainTask]:
    """Give all trainers of a task; `ensemble` first, since viewers show the first one's figures."""
    offsets_by_name: dict[str, tuple[float, ...] | None] = {ENSEMBLE: None}
    offsets_by_name |= {trainer_name(offset): (offset,) for offset in task.offsets}
    descriptions = {ENSEMBLE: "All members, then calibration, publication and scoring"}
    descriptions |= {trainer_name(offset): f"Members at loss weight w_dsc {offset:+g}" for offset in task.offsets}
    return {
        name: EnsembleTrainer(
            name,
            descriptions[name],
            offsets=offsets,
            task=task,
            workspace=workspace,
            engine=engine,
            device=device,
            store_heatmaps=store_heatmaps,
        )
        for name, offsets in offsets_by_name.items()
    }
