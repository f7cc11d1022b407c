"""A stored label beside what the model expects of its scan, where that is known or quickly found out."""

import logging
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine, select

from apps.calibrated_ensemble.monai_tasks.prediction_cache import ScanPrediction
from lib.errors import ProductError
from lib.images.files import read_label
from lib.images.region import inside_region, read_region
from lib.quality.label_doubts import label_doubts
from lib.task.labels import class_indices
from scoring.database.engine import reading
from scoring.database.tables import scans, scores

logger = logging.getLogger(__name__)

QUICK_SECONDS = 5.0
"""A scan whose score took no longer is predicted again when its label is submitted; for others nobody waits."""


class KnownPredictions(Protocol):
    """What is known of scans (`PredictionCache` is one)."""

    @property
    def generation(self) -> str | None:
        """Id of the current generation."""

    def known(self, image: Path, region: Path | None = None) -> ScanPrediction | None:
        """Give the prediction of a scan where it was made already."""

    def predict(self, image: Path, region: Path | None = None) -> ScanPrediction:
        """Predict a scan."""


def doubts_about(
    scan: str, label: Path, image: Path, region: Path | None, *, predictions: KnownPredictions, engine: Engine
) -> list[dict[str, Any]]:
    """Compare a label with the heatmap of the current generation.

    Args:
        scan: name of the scan.
        label: its label, in the task's values.
        image: its file.
        region: its mask; what is drawn outside is told elsewhere.
        predictions: the heatmap that the annotator was shown is among these, if any was.
        engine: knows how long the scan took to score.

    Returns:
        Doubts as `LabelDoubt.described` gives them, the largest first; none where nothing is known of the scan.
    """
    try:
        predicted = predictions.known(image, region)
        if predicted is None and _is_quick(engine, scan, predictions.generation):
            predicted = predictions.predict(image, region)
        return [] if predicted is None else _compared(predicted, label, region)
    except ProductError as error:  # the label is stored, whatever keeps it from being compared
        logger.warning("The label of %r is not compared with the heatmap: %s", scan, error)
        return []


def _compared(predicted: ScanPrediction, label: Path, region: Path | None) -> list[dict[str, Any]]:
    prediction, task = predicted.prediction, predicted.task
    drawn = read_label(label, values=task.labels)
    indices = class_indices(drawn.array, task)
    if indices.shape != prediction.segmentation.shape:
        return []
    if region is not None:
        indices = inside_region(indices, read_region(region, drawn).array)
    doubts = label_doubts(
        indices, prediction.heatmap, prediction.segmentation, classes=task.classes, affine=prediction.affine
    )
    return [doubt.described(prediction.affine) for doubt in doubts]


def _is_quick(engine: Engine, scan: str, generation: str | None) -> bool:
    with reading(engine) as connection:
        seconds = connection.scalar(
            select(scores.c.seconds)
            .join(scans, scans.c.id == scores.c.scan_id)
            .where(scans.c.name == scan, scores.c.generation == generation, scores.c.mean.is_not(None))
        )
    return seconds is not None and seconds <= QUICK_SECONDS
