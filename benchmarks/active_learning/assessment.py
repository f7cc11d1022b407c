"""What a model makes of one scan, beside what its label says."""

from dataclasses import dataclass

import numpy as np

from benchmarks.active_learning.encoder_features import run_with_features
from lib.datasets.scans import LabelledScan, read_labelled_scan
from lib.images.volume import Volume
from lib.metrics.dice import dice_beside_estimate
from lib.models.ensemble import Ensemble
from lib.models.prediction import Prediction
from lib.quality.disagreement import mean_entropy
from lib.task.labels import class_indices


@dataclass(frozen=True, eq=False)
class Assessment:
    """One scan.

    Attributes:
        estimated_dsc: of each class, 0..1, as the product estimates it.
        true_dsc: of each class, 0..1.
        entropy: of the mean softmax at w^DSC, mean over voxels and classes, in nats.
        volume: of all classes in the label, mm3.
        features: see `run_with_features`, float32 (D,).
    """

    estimated_dsc: tuple[float, ...]
    true_dsc: tuple[float, ...]
    entropy: float
    volume: float
    features: np.ndarray


def assess_scan(ensemble: Ensemble, scan: LabelledScan) -> Assessment:
    """Run all members over a scan and compare with its label.

    Raises:
        InputError: a file cannot be used.
    """
    volume, truth = _read(ensemble, scan)
    image = ensemble.preprocessing.apply_to_scan(volume)
    outputs, features = run_with_features(ensemble, image)
    prediction = ensemble.prediction(outputs, image, volume)
    return Assessment(
        estimated_dsc=tuple(prediction.estimated_dsc.values()),
        true_dsc=_dsc(prediction, truth),
        entropy=float(mean_entropy(outputs.mean_softmax[1:]).mean()),
        volume=np.count_nonzero(truth) * volume.voxel_volume,
        features=features,
    )


def true_dsc(ensemble: Ensemble, scan: LabelledScan) -> tuple[float, ...]:
    """DSC of what annotators would be shown of a scan, one value per class, 0..1; 1 where a class is in neither.

    Raises:
        InputError: a file cannot be used.
    """
    volume, truth = _read(ensemble, scan)
    return _dsc(ensemble.predict(volume), truth)


def _read(ensemble: Ensemble, scan: LabelledScan) -> tuple[Volume, np.ndarray]:
    task = ensemble.generation.task
    volume, label, _ = read_labelled_scan(scan, task)
    return volume, class_indices(label.array, task)


def _dsc(prediction: Prediction, truth: np.ndarray) -> tuple[float, ...]:
    found = dice_beside_estimate(prediction.segmentation, truth, class_count=len(prediction.classes))
    return tuple(found.tolist())
