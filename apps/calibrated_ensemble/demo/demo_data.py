"""The data of the demo: scans with a truth that the ensemble never sees."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lib.datasets.make_studies import prepare_studies
from lib.datasets.scan_source import PredictedScan, ScanSource, ScorableScan, path_of
from lib.errors import InputError
from lib.images.files import SUFFIXES, read_label, read_scan
from lib.images.region import read_region
from lib.images.volume import Volume
from lib.metrics.dice import dice_beside_estimate
from lib.models.ensemble import Ensemble
from lib.models.generation import Generation
from lib.models.prediction import Prediction
from lib.simulation.phantoms import write_phantoms
from lib.task.labels import class_indices
from lib.task.task import Task

LABELLED, UNLABELLED = 16, 24
"""Number of phantoms with and without a label."""

SEED = 0

_REMEMBERED_BYTES = 1 << 30


@dataclass(frozen=True)
class DemoData:
    """What the demo works on.

    Attributes:
        studies: the studies folder.
        labels: folder with the labels of all scans; None when those of unlabelled ones are not known.
        posteriors: folder with the true probabilities; None when they are not known.
    """

    studies: Path
    labels: Path | None
    posteriors: Path | None


@dataclass(frozen=True)
class ComparedPrediction:
    """A prediction of an unlabelled scan beside the truth.

    Attributes:
        scan: grey values.
        prediction: what the ensemble says.
        label: class indices of the truth; None when not known.
        posterior: true probability of foreground; None when not known.
        true_dsc: per class, 0..1, and 1 where a class is in neither; None when not known.
        heatmap_error: mean absolute difference of heatmap and posterior over the voxels where one
            of them exceeds 1 %; None when not known.
        attainable_dsc: estimated DSC if the heatmap were the posterior; None when not known. Its
            error is what the chance in the labels costs any estimate.
    """

    scan: Volume
    prediction: Prediction
    label: np.ndarray | None
    posterior: np.ndarray | None
    true_dsc: Mapping[str, float] | None
    heatmap_error: float | None
    attainable_dsc: float | None


class LateEnsemble:
    """An ensemble that is loaded when it first predicts; see `lib.models.ensemble.Ensemble`."""

    def __init__(self, generation: Generation, *, device: str):
        self.generation = generation
        self._device = device
        self._ensemble: Ensemble | None = None

    def predict(self, scan: Volume, region: Volume | None = None) -> Prediction:
        """Segment a scan and map its probabilities."""
        if self._ensemble is None:
            self._ensemble = Ensemble(self.generation, device=self._device)
        return self._ensemble.predict(scan, region)


class RememberingScans:
    """Scans whose predictions are remembered, as long as memory allows: first for their score, then for the truth.

    It is a `lib.datasets.scan_source.ScanSource`.

    Args:
        scans: those of a folder.
    """

    def __init__(self, scans: ScanSource):
        self._scans = scans
        self._predictions: dict[tuple[str, str], Prediction] = {}
        self._bytes = 0
        self.revision = scans.revision
        self.names = scans.names
        self.labelled = scans.labelled
        self.unlabelled = scans.unlabelled
        self.is_unlabelled = scans.is_unlabelled
        self.region = scans.region
        self.stamp = scans.stamp

    def keep_heatmap(self, name: str, prediction: PredictedScan) -> None:
        """Remember what was predicted for a scan."""
        if isinstance(prediction, Prediction):
            self._bytes += prediction.nbytes
            if self._bytes <= _REMEMBERED_BYTES:
                self._predictions[name, prediction.generation] = prediction

    def remembered(self, name: str, generation: str) -> Prediction | None:
        """Give what was predicted for a scan; None when it is not remembered."""
        return self._predictions.get((name, generation))


def make_demo_data(folder: Path) -> DemoData:
    """Make 40 phantoms, 16 of them labelled; what is there already is kept.

    Raises:
        StorageError: the folder cannot be written to.
    """
    phantoms = folder / "phantoms"
    write_phantoms(phantoms, LABELLED + UNLABELLED, seed=SEED)
    studies = folder / "studies"
    prepare_studies(phantoms / "imagesTr", phantoms / "labelsTr", studies, labelled=LABELLED, seed=SEED)
    return DemoData(studies, phantoms / "labelsTr", phantoms / "posteriorsTr")


def use_demo_data(source: Path, folder: Path) -> DemoData:
    """Use real scans: a studies folder as it is, or a Decathlon style one of which 16 labels are taken.

    Of a small Decathlon style folder, the same share of labels is taken as of the phantoms.

    Args:
        source: studies folder, or a folder with `imagesTr` and `labelsTr`.
        folder: of the demo.

    Raises:
        InputError: no such folder, or see `lib.datasets.make_studies.prepare_studies`.
    """
    if not source.is_dir():
        raise InputError(
            f"--studies {source}: no such folder; give a studies folder, or one with imagesTr and labelsTr"
        )
    images, labels = source / "imagesTr", source / "labelsTr"
    if not images.is_dir():
        return DemoData(source, None, None)
    studies = folder / f"studies_{source.resolve().name}"
    available = prepare_studies(images, labels, studies, labelled=0, seed=SEED).available
    few = available * LABELLED // (LABELLED + UNLABELLED)
    prepare_studies(images, labels, studies, labelled=min(LABELLED, few), seed=SEED)
    return DemoData(studies, labels, None)


def compare_prediction(
    ensemble: LateEnsemble, scans: RememberingScans, scan: ScorableScan, demo_data: DemoData
) -> ComparedPrediction:
    """Compare the prediction of a scan with the truth, as far as it is known.

    Args:
        ensemble: predicts what is not remembered.
        scans: remembers predictions.
        scan: one of them.
        demo_data: knows the truth.

    Raises:
        InputError: a file cannot be used.
    """
    generation = ensemble.generation
    task = generation.task
    volume = read_scan(path_of(scan.image))
    prediction = scans.remembered(scan.name, generation.id)
    if prediction is None:
        region = read_region(path_of(scan.region), volume) if scan.region else None
        prediction = ensemble.predict(volume, region)
    label_path, posterior_path = _file_of(demo_data.labels, scan.name), _file_of(demo_data.posteriors, scan.name)
    label = posterior = true_dsc = error = attainable = None
    if label_path:
        label = class_indices(read_label(label_path, values=task.labels, scan=volume).array, task)
        true_dsc = true_dice(prediction.segmentation, label, task)
    if posterior_path:
        posterior = read_scan(posterior_path).array
        heatmap = prediction.foreground
        anywhere = (heatmap > 0.01) | (posterior > 0.01)
        error = float(np.abs(heatmap - posterior)[anywhere].mean()) if anywhere.any() else 0.0
        attainable = replace(prediction, heatmap=posterior[None]).mean_estimated_dsc
    return ComparedPrediction(volume, prediction, label, posterior, true_dsc, error, attainable)


def true_dice(segmentation: np.ndarray, label: np.ndarray, task: Task) -> dict[str, float]:
    """DSC per class, 1 where a class is in neither, as the estimated DSC counts it.

    Args:
        segmentation: class indices (x, y, z).
        label: class indices (x, y, z).
        task: names the classes.
    """
    values = dice_beside_estimate(segmentation, label, class_count=len(task.classes))
    return dict(zip(task.classes, values.tolist(), strict=True))


def _file_of(folder: Path | None, name: str) -> Path | None:
    if folder is None:
        return None
    return next((path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").is_file()), None)
