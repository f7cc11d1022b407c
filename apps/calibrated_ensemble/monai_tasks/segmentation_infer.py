"""The infer model `calibrated_ensemble`: the segmentation that the annotator corrects."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from apps.calibrated_ensemble.monai_tasks.prediction_cache import PredictionCache, ScanPrediction
from apps.calibrated_ensemble.monai_tasks.result_files import result_dtype, result_suffix, write_result
from apps.calibrated_ensemble.reports.class_colours import label_colours
from lib.task.labels import label_values
from lib.task.task import Task


class SegmentationInfer(InferTask):
    """Segments a scan with the members at w^DSC.

    It is listed before the first generation as well, so that viewers show it; a request then
    answers what is missing.
    """

    def __init__(self, task: Task, predictions: PredictionCache):
        super().__init__(
            type=InferType.SEGMENTATION,
            labels=dict(task.labels),
            dimension=3,
            description="Segmentation by the calibrated ensemble, with its estimated DSC",
        )
        self._colours = {name: list(colour) for name, colour in label_colours(task).items()}
        self._predictions = predictions

    def info(self) -> dict[str, Any]:
        """Describe the model, with the colour of each class."""
        # Not in `config`, which viewers show as options and send back.
        return {**super().info(), "label_colors": self._colours}

    def is_valid(self) -> bool:
        """Listed always."""
        return True

    def __call__(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Predict a scan.

        Args:
            request: `image` and, for a task with a region, `region`: files on this machine.
                `result_extension`, `result_dtype` (uint8 by default) and `result_compress` choose
                the format.

        Returns:
            A label file on the scan's grid with the task's values, and what is known about it.

        Raises:
            NotTrainedError: there is no generation yet.
            InputError: the scan cannot be used, or a format that cannot be written.
        """
        suffix, dtype = result_suffix(request), result_dtype(request, np.uint8)
        predicted = self._predictions.predict(Path(request["image"]), region_of(request))
        label = label_values(predicted.prediction.segmentation, predicted.task).astype(dtype)
        result = predicted.prediction.on_scan(label)
        file = write_result(result, suffix=suffix, compress=bool(request.get("result_compress")))
        return file, {"label_names": names_by_place(predicted.task.labels), **figures(predicted)}


def names_by_place(labels: Mapping[str, int]) -> dict[str, int]:
    """Classes with a name for each value up to the highest.

    3D Slicer sorts the names by value and gives the n-th one the voxels of value n, so that a task
    whose values leave some out would show its classes under wrong names, or not at all.
    """
    used = {value: name for name, value in labels.items()}
    return {used.get(value, f"unused {value}"): value for value in range(1, max(used) + 1)}


def region_of(request: dict[str, Any]) -> Path | None:
    """File of the region mask that the app found for the request's scan."""
    return Path(request["region"]) if request.get("region") else None


def figures(predicted: ScanPrediction) -> dict[str, Any]:
    """What a client is told beside the file: DSC in 0..1, None where a mask is empty; volumes in cubic millimetres."""
    prediction = predicted.prediction
    return {
        "estimated_dsc": {name: prediction.estimated_dsc.get(name) for name in prediction.classes},
        "mean_estimated_dsc": prediction.mean_estimated_dsc,
        "volumes_mm3": dict(prediction.volume_mm3),
        "generation": prediction.generation,
        "seconds": round(predicted.seconds, 3),
    }
