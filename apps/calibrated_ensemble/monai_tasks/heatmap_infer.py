"""The infer model `heatmap`: calibrated probabilities of each class."""

from pathlib import Path
from typing import Any

import numpy as np
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from apps.calibrated_ensemble.monai_tasks.prediction_cache import PredictionCache
from apps.calibrated_ensemble.monai_tasks.result_files import result_dtype, result_suffix, write_result
from apps.calibrated_ensemble.monai_tasks.segmentation_infer import figures, region_of
from lib.errors import InputError
from lib.quality.uncertain_regions import UncertainRegion, uncertain_regions
from lib.task.task import Task

BANDS = 10
BAND_NAMES = {f"{100 * band // BANDS} %": band for band in range(1, BANDS + 1)}
"""Labels of the whole-number answer: value b means a probability of about b tenths."""


def probability_bands(heatmap: np.ndarray) -> np.ndarray:
    """Round probabilities to tenths, for clients that can only show labels.

    Args:
        heatmap: probabilities 0..1, any shape.

    Returns:
        uint8, same shape: b where the probability is within 0.05 of b / 10, b = 0..10.
    """
    return np.rint(np.asarray(heatmap) * BANDS).astype(np.uint8)


def probability_levels(heatmap: np.ndarray, levels: int) -> np.ndarray:
    """Round probabilities to whole numbers, for clients that read them back as `value / levels`.

    Args:
        heatmap: probabilities 0..1, any shape.
        levels: the value of probability 1.

    Returns:
        float32, same shape, whole numbers 0..levels.
    """
    return np.rint(np.asarray(heatmap, dtype=np.float32) * levels)


class HeatmapInfer(InferTask):
    """Gives the heatmap of a scan; listed always, like the segmentation."""

    def __init__(self, task: Task, predictions: PredictionCache):
        super().__init__(
            type=InferType.SEGMENTATION,
            labels=dict(BAND_NAMES),
            dimension=3,
            description="Calibrated probabilities: float32, or tenths where a client asks for whole numbers",
            config={"class": ["all", *task.classes]} if len(task.classes) > 1 else None,
        )
        self._predictions = predictions

    def is_valid(self) -> bool:
        """Listed always."""
        return True

    def __call__(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Predict a scan.

        Args:
            request: as `SegmentationInfer`, and `class`, the name of one class. A `result_dtype`
                of whole numbers (OHIF and Slicer always send uint8) asks for bands, unless
                `levels` gives the value of probability 1.

        Returns:
            A file on the scan's grid and what is known about it, with `uncertain_places` to look
            at. Probabilities: float32, or whole numbers 0..levels, one channel per class when
            there are several. Bands: whole numbers 0..10, the highest class at each voxel.

        Raises:
            NotTrainedError: there is no generation yet.
            InputError: an unknown class, a scan that cannot be used, or a format that cannot be
                written.
        """
        suffix, dtype = result_suffix(request), result_dtype(request, np.float32)
        predicted = self._predictions.predict(Path(request["image"]), region_of(request))
        classes = _wanted_classes(request, predicted.task)
        affine = predicted.prediction.affine
        heatmap = predicted.prediction.heatmap[[predicted.task.classes.index(name) for name in classes]]
        levels = _wanted_levels(request, dtype)
        is_bands = dtype.kind in "iu" and levels is None
        channels = heatmap[0] if len(classes) == 1 else heatmap
        result = channels if levels is None else probability_levels(channels, levels)
        if is_bands:
            result = probability_bands(heatmap.max(axis=0))
        volume = predicted.prediction.on_scan(result.astype(dtype))
        file = write_result(volume, suffix=suffix, compress=bool(request.get("result_compress")))
        known = {"label_names": dict(BAND_NAMES)} if is_bands else {}
        places = uncertain_regions(heatmap, classes=classes, affine=affine)
        described = [_place(place, affine) for place in places]
        return file, {**known, "classes": list(classes), "uncertain_places": described, **figures(predicted)}


def _place(place: UncertainRegion, affine: np.ndarray) -> dict[str, Any]:
    x, y, z = (affine @ [*place.voxel, 1.0])[:3].tolist()
    return {
        "class": place.class_name,
        "lps_mm": [-x, -y, z],
        "volume_mm3": place.volume_mm3,
        "mean_probability": place.mean_probability,
    }


def _wanted_levels(request: dict[str, Any], dtype: np.dtype) -> int | None:
    levels = request.get("levels")
    if levels is None:
        return None
    highest = int(np.iinfo(dtype).max) if dtype.kind in "iu" else None
    if isinstance(levels, bool) or not isinstance(levels, int) or highest is None or not 1 <= levels <= highest:
        raise InputError(
            f"levels: is {levels!r} with result_dtype {dtype}; give a whole number that the type can hold, "
            "such as 255 with uint8"
        )
    return levels


def _wanted_classes(request: dict[str, Any], task: Task) -> tuple[str, ...]:
    wanted = request.get("class")
    # Viewers send a choice back as they got it: the whole list until the user picks one.
    if not wanted or wanted == "all" or isinstance(wanted, list):
        return task.classes
    if wanted not in task.classes:
        raise InputError(f"class: is {wanted!r}; give one of {', '.join(task.classes)}, or none for all")
    return (str(wanted),)
