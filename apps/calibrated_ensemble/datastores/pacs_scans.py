"""The scans of a PACS, downloaded when they are needed."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from monailabel.interfaces.exception import ImageNotFoundException

from apps.calibrated_ensemble.datastores.pacs_studies import PacsStudies
from lib.datasets.label_tags import FINAL
from lib.datasets.scan_source import PredictedScan, ScanNames
from lib.datasets.scans import LabelledScan, stamp_files
from lib.errors import InputError
from lib.task.task import Task

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PacsScan:
    """A scan that is downloaded when its image is asked for; see `lib.datasets.scan_source.ScorableScan`."""

    name: str
    image: Callable[[], Path]
    stamp: str
    region: Path | None = None


class PacsScans:
    """The scans of a PACS; it is a `lib.datasets.scan_source.ScanSource`.

    Args:
        datastore: lists, downloads and stores.
        task: names the region tag.
        store_heatmaps: store the heatmap of each scan that is scored in the PACS, as DICOM Parametric Maps.
    """

    def __init__(self, datastore: PacsStudies, task: Task, *, store_heatmaps: bool):
        self._datastore = datastore
        self._task = task
        self._store_heatmaps = store_heatmaps

    @property
    def revision(self) -> int | None:
        """Grows whenever the list of scans or labels has changed."""
        return self._datastore.revision

    def names(self) -> ScanNames:
        """See `ScanSource.names`."""
        return self._datastore.names()

    def labelled(self) -> Sequence[LabelledScan]:
        """See `ScanSource.labelled`; a series that is no volume, or without a readable label, is told and left out."""
        scans = (self._labelled_scan(name) for name in sorted(self._datastore.get_labeled_images()))
        return [scan for scan in scans if scan is not None]

    def unlabelled(self) -> Sequence[PacsScan]:
        """See `ScanSource.unlabelled`."""
        names = sorted(self._datastore.get_unlabeled_images())
        return [PacsScan(name, self._download(name), self.stamp(name), self.region(name)) for name in names]

    def is_unlabelled(self, name: str) -> bool:
        """See `ScanSource.is_unlabelled`."""
        if self._datastore.get_label_by_image_id(name, FINAL):
            return False
        return self._datastore.series(name) is not None

    def region(self, name: str) -> Path | None:
        """See `ScanSource.region`."""
        uri = self._datastore.get_label_uri(name, self._task.region) if self._task.region else ""
        return Path(uri) if uri else None

    def stamp(self, name: str) -> str:
        """See `ScanSource.stamp`; instances of a series never change, but some may come."""
        series = self._datastore.series(name)
        return f"{series.instances if series else None} instances {stamp_files(self.region(name))}"

    def keep_heatmap(self, name: str, prediction: PredictedScan) -> None:
        """Store the heatmap in the PACS where that was asked for, see `ScanSource.keep_heatmap`."""
        if not self._store_heatmaps:
            return
        try:
            self._datastore.store_heatmap(
                name, prediction.heatmap, classes=prediction.classes, generation=prediction.generation
            )
        except (InputError, ImageNotFoundException) as error:
            logger.warning("The heatmap of scan %s is not stored: %s", name, error)

    def _labelled_scan(self, name: str) -> LabelledScan | None:
        try:
            image = self._datastore.get_image_uri(name)
            label = self._datastore.get_label_uri(name, FINAL)
        except InputError as error:
            logger.warning("Scan %s is not trained on: %s", name, error)
            return None
        if not label:
            return None
        return LabelledScan(
            name=name,
            image=Path(image),
            label=Path(label),
            patient=self._datastore.patient(name),
            region=self.region(name),
        )

    def _download(self, name: str) -> Callable[[], Path]:
        return lambda: Path(self._datastore.get_image_uri(name))
