"""The scoring method `estimated_dsc`: how good the prediction of each unlabelled scan is expected to be."""

import logging
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.scoring import ScoringMethod

from apps.calibrated_ensemble.jobs.score_unlabelled import score_unlabelled, scoring_figures
from apps.calibrated_ensemble.project import Project
from lib.datasets.scan_source import ScanSource
from lib.errors import NotTrainedError

logger = logging.getLogger(__name__)

ESTIMATED_DSC = "estimated_dsc"


class EstimatedDscScoring(ScoringMethod):
    """Scores, over `/scoring/estimated_dsc`, the unlabelled scans that the current generation has not.

    Args:
        project: whose generation scores.
        scans: the unlabelled ones.
    """

    def __init__(self, project: Project, scans: ScanSource):
        super().__init__("Estimated DSC of each unlabelled scan, from the heatmap of the current generation")
        self._project = project
        self._scans = scans

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:  # noqa: ARG002
        """Score what is missing; see `score_unlabelled`.

        Returns:
            See `scoring_figures`; a `message` before the first generation.
        """
        try:
            return scoring_figures(score_unlabelled(self._project, self._scans, progress=log_scoring))
        except NotTrainedError:
            return {"generation": None, "message": "No model is trained yet: run the trainer `ensemble`, then score."}


def log_scoring(stage: str, done: int, total: int, /, **figures: float) -> None:  # noqa: ARG001
    """Tell in the log how far a scoring run is; it is a `lib.progress.Progress`."""
    logger.info("%s: %d %% (%d of %d scans)", stage, 100 * done // max(1, total), done, total)
