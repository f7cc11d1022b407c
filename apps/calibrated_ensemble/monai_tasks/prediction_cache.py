"""Predictions of the current generation, the last few kept in memory."""

import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from lib.datasets.scans import stamp_files
from lib.dicom.series import files_of, read_series
from lib.errors import InputError
from lib.images.files import read_scan
from lib.images.region import EMPTY, read_region
from lib.models.ensemble import Ensemble
from lib.models.prediction import Prediction
from lib.models.workspace import Workspace
from lib.task.task import Task

logger = logging.getLogger(__name__)

_KEPT_BYTES = 1 << 30
_KEPT_COUNT = 8


@dataclass(frozen=True)
class ScanPrediction:
    """A prediction, and how it came about.

    Attributes:
        prediction: on the scan's grid.
        task: settings of the generation that made it.
        seconds: time from the scan's file to the prediction, when it was made.
    """

    prediction: Prediction
    task: Task
    seconds: float


class PredictionCache:
    """Predicts with the current generation, and loads a new one when it is published.

    Asking again for the same file gives the prediction made before, so that the heatmap after the
    segmentation costs nothing. One prediction is made at a time; others wait.

    Args:
        workspace: where generations are.
        device: see `lib.networks.devices.choose_device`.
    """

    def __init__(self, workspace: Workspace, *, device: str):
        self._workspace = workspace
        self._device = device
        self._ensemble: Ensemble | None = None
        self._kept: OrderedDict[tuple[str, ...], ScanPrediction] = OrderedDict()
        self._lock = threading.Lock()

    def predict(self, image: Path, region: Path | None = None) -> ScanPrediction:
        """Predict a scan.

        Args:
            image: NIfTI or NRRD file, or folder of one DICOM series.
            region: its region mask, when the task has one.

        Raises:
            NotTrainedError: there is no generation yet.
            InputError: the scan or the mask cannot be used.
            DamagedGenerationError: the generation's files are not as published.
        """
        with self._lock:
            ensemble = self._current_ensemble()
            # Taken before the files are read: what is written later has another one.
            key = _key(ensemble.generation.id, image, region)
            kept = self._kept.get(key)
            if kept is None:
                kept = self._kept[key] = _predict(ensemble, image, region)
                self._forget_old()
            self._kept.move_to_end(key)
            return kept

    @property
    def generation(self) -> str | None:
        """Id of the current generation."""
        return self._workspace.current()

    def known(self, image: Path, region: Path | None = None) -> ScanPrediction | None:
        """Give the prediction of a scan by the current generation where it was made already; nobody waits for one.

        Raises:
            InputError: the scan or the mask is not there.
        """
        key = _key(str(self.generation), image, region)
        if not self._lock.acquire(timeout=1):
            return None
        try:
            return self._kept.get(key)
        finally:
            self._lock.release()

    def _current_ensemble(self) -> Ensemble:
        current = self._workspace.current()
        if self._ensemble is None or self._ensemble.generation.id != current:
            self._ensemble = Ensemble(self._workspace.generation(), device=self._device)
            self._kept.clear()
            logger.info("Generation %s is served now", self._ensemble.generation.id)
        return self._ensemble

    def _forget_old(self) -> None:
        def size() -> int:
            return sum(kept.prediction.nbytes for kept in self._kept.values())

        while len(self._kept) > 1 and (len(self._kept) > _KEPT_COUNT or size() > _KEPT_BYTES):
            self._kept.popitem(last=False)


def _key(generation: str, image: Path, region: Path | None) -> tuple[str, ...]:
    """What changes when another generation predicts, or a file is another or has changed."""
    for path in (image, region):
        if path is not None and not path.exists():
            raise InputError(f"{path}: cannot be read (no such file); give a scan that is there")
    return generation, str(image), str(region), stamp_files(image, region)


def _predict(ensemble: Ensemble, image: Path, region: Path | None) -> ScanPrediction:
    start = time.monotonic()
    scan = read_series(files_of(image))[0] if image.is_dir() else read_scan(image)
    mask = read_region(region, scan) if region is not None else None
    prediction = ensemble.predict(scan, mask)
    if prediction.is_nowhere:
        logger.warning("%s: %s. Nothing is predicted or estimated.", region, EMPTY)
    return ScanPrediction(prediction, ensemble.generation.task, seconds=time.monotonic() - start)
