"""Statistics of many scans, each predicted at most once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.datasets.scan_failures import scan_failure
from lib.datasets.scans import LabelledScan, digest_labelled_scan, read_labelled_scan, warn_of_voxels_outside
from lib.evaluation.compared_heatmaps import Comparison
from lib.evaluation.scan_statistics import Truth, reduce_scan
from lib.evaluation.statistics_files import LAYOUT, write_statistics
from lib.images.region import inside_region
from lib.images.volume import Volume
from lib.models.ensemble import Ensemble
from lib.models.kinds.method import Method
from lib.progress import Progress
from lib.simulation.corruptions import corrupt
from lib.storage.digest import digest_settings
from lib.task.labels import class_indices
from lib.task.task import Task


@dataclass(frozen=True)
class ScanJob:
    """A scan that is to be predicted.

    Attributes:
        scan: with label.
        fold: the only fold whose members predict it, since the others were trained on it, and what is fitted
            is fitted without it; None for all members of all generations.
        corrupted: whether the scan is corrupted first, see `lib.simulation.corruptions`.
    """

    scan: LabelledScan
    fold: int | None = None
    corrupted: bool = False


class StatisticsRun:
    """Gives the statistics of scans, from a folder of files or else by predicting them.

    Args:
        comparison: what predicts, and what is made of it.
        folder: where the statistics of each scan are kept, under a digest of all that they depend on.
        device: see `lib.networks.devices.choose_device`.

    Attributes:
        failed: name of a scan that could not be used, with its label, to the reason.
    """

    def __init__(self, comparison: Comparison, folder: Path, *, device: str):
        self.failed: dict[str, str] = {}
        self._comparison = comparison
        self._folder = folder
        self._device = device
        self._ensembles: Mapping[Method, Ensemble] = {}
        self._fold: int | None = None

    def files(self, jobs: Sequence[ScanJob], *, stage: str, progress: Progress) -> dict[ScanJob, Path]:
        """Give the file of each scan's statistics; those that are missing are made.

        A scan that cannot be used, for whatever reason, is left out and named in `failed`.

        Raises:
            StorageError: a file cannot be written. Scans before it are kept.
            DamagedGenerationError: a generation's files are not as published.
        """
        paths = {}
        self._ensembles, self._fold = {}, None
        for number, job in enumerate(jobs, 1):
            try:
                paths[job] = self._file(job)
            except Exception as error:  # whatever one scan raises must not stop the rest
                self.failed[job.scan.name] = scan_failure(error, job.scan.name)
            progress(stage, number, len(jobs))
        return paths

    def _file(self, job: ScanJob) -> Path:
        path = self._folder / f"{self._key(job)[:40]}.npz"
        if not path.exists():
            truth = _read_truth(job, self._comparison.served.task)
            if not self._ensembles or self._fold != job.fold:
                self._ensembles, self._fold = self._load(job.fold), job.fold
            comparison = self._comparison if job.fold is None else self._comparison.without(job.scan.name)
            write_statistics(path, reduce_scan(self._ensembles, comparison, truth))
        return path

    def _load(self, fold: int | None) -> dict[Method, Ensemble]:
        if fold is not None:
            served = self._comparison.served
            return {served.method: Ensemble(served, device=self._device, folds=[fold])}
        return {
            method: Ensemble(generation, device=self._device)
            for method, generation in self._comparison.generations.items()
        }

    def _key(self, job: ScanJob) -> str:
        part = self._comparison if job.fold is None else self._comparison.served_alone()
        return digest_settings(
            {
                "layout": LAYOUT,
                "generations": [generation.id for generation in part.generations.values()],
                "heatmaps": {
                    name: heatmap.calibration and heatmap.calibration.model_dump(mode="json")
                    for name, heatmap in part.heatmaps.items()
                },
                "scan": digest_labelled_scan(job.scan),
                "fold": job.fold,
                # The corruption of a scan follows from its name.
                "corrupted": job.scan.name if job.corrupted else None,
            }
        )


def _read_truth(job: ScanJob, task: Task) -> Truth:
    scan, label, region = read_labelled_scan(job.scan, task)
    warn_of_voxels_outside(job.scan, label, region)
    classes = Volume(class_indices(label.array, task), label.affine)
    if job.corrupted:
        corrupted = corrupt(scan, classes, region, name=job.scan.name, modality=task.modality)
        scan, classes, region = corrupted.scan, corrupted.label, corrupted.region
    inside = inside_region(classes.array, None if region is None else region.array)
    return Truth(scan, inside, region)
