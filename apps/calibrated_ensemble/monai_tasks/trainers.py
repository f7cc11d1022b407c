"""The trainers: one for each loss weight, and `ensemble` for everything."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.train import TrainTask

from apps.calibrated_ensemble.jobs.score_unlabelled import scoring_figures
from apps.calibrated_ensemble.jobs.train import train
from apps.calibrated_ensemble.jobs.train_stats import TrainStats, read_train_stats
from apps.calibrated_ensemble.monai_tasks.scoring_method import log_scoring
from apps.calibrated_ensemble.project import Project
from apps.calibrated_ensemble.retraining.night import retrain
from apps.calibrated_ensemble.retraining.options import REQUEST_KEY, options_of_request
from apps.calibrated_ensemble.terminal.termination import TerminatedError
from lib.datasets.scan_source import ScanSource
from lib.errors import InputError
from lib.models.generation import Generation

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
        project: what is trained.
        scans: labelled and unlabelled ones.
        offsets: loss weights relative to w^DSC; None for all.
    """

    def __init__(
        self,
        name: str,
        description: str,
        project: Project,
        scans: ScanSource,
        *,
        offsets: Sequence[float] | None = None,
    ):
        super().__init__(description)
        self._offsets = offsets
        self._project = project
        self._scans = scans
        self._stats_path: Path = project.workspace.root / "train_stats" / f"{name}.json"

    def stats(self) -> dict[str, Any]:
        """Figures of the last or present run, for the `train_stats` of `/info/`."""
        return read_train_stats(self._stats_path)

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:  # noqa: ARG002
        """Train on the labelled scans.

        Args:
            request: as MONAI Label's; the settings come from the task alone. With the key `retrain` it is a night
                (`apps.calibrated_ensemble.retraining.options`), which a gate stands behind.
            datastore: as MONAI Label's; the scans are those of `scans`.

        Returns:
            Figures of the run, with the id of the `generation` when one is complete.

        Raises:
            ProductError: see `apps.calibrated_ensemble.jobs.train.train`.
        """
        # Refused before the figures of the last training are overwritten.
        night = options_of_request(request[REQUEST_KEY]) if REQUEST_KEY in request else None
        if night is not None and self._offsets is not None:
            raise InputError(f"{REQUEST_KEY}: is for the trainer `{ENSEMBLE}`, which trains all loss weights")
        stats = TrainStats(self._stats_path)
        figures: dict[str, Any] = {}

        def progress(stage: str, done: int, total: int, /, **values: float) -> None:
            report = log_scoring if stage == "scoring" else stats
            report(stage, done, total, **values)

        def finish(generation: Generation) -> None:
            logger.info("Generation %s is published", generation.id)
            figures.update(stats.finish(generation=generation.id, dice=generation.metrics["dice"]))

        try:
            if night is not None:
                done = retrain(self._project, self._scans, night, progress=progress, on_published=finish)
                return (figures or stats.finish(generation=done.served, dice=None)) | {REQUEST_KEY: done.to_json()}
            trained = train(self._project, self._scans, offsets=self._offsets, progress=progress, on_published=finish)
        except (Exception, TerminatedError) as error:
            # What was published stays so, whatever became of the scoring.
            if not figures:
                stats.fail(str(error) or "stopped")
            raise
        if trained.generation is None:
            logger.info("Members of other loss weights are missing; run their trainers, or `%s`", ENSEMBLE)
            return stats.finish(generation=None, dice=None)
        if trained.scoring is not None:
            figures["scoring"] = scoring_figures(trained.scoring)
        return figures


def make_trainers(project: Project, scans: ScanSource) -> dict[str, TrainTask]:
    """Give all trainers of a project; `ensemble` first, since viewers show the first one's figures."""
    trainers: dict[str, TrainTask] = {
        ENSEMBLE: EnsembleTrainer(ENSEMBLE, "All members, then calibration, publication and scoring", project, scans)
    }
    for offset in project.task.offsets:
        name, description = trainer_name(offset), f"Members at loss weight w_dsc {offset:+g}"
        trainers[name] = EnsembleTrainer(name, description, project, scans, offsets=(offset,))
    return trainers
