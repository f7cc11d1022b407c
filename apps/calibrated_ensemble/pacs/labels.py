"""Final labels of scans as segmentation objects of the PACS."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apps.calibrated_ensemble.annotator import annotator_of
from apps.calibrated_ensemble.pacs.catalogue import segmentation_facts
from apps.calibrated_ensemble.pacs.client import PacsClient, Series, StoredSegmentation, content_time
from apps.calibrated_ensemble.pacs.listing import PacsListing
from apps.calibrated_ensemble.pacs.local_files import LocalFiles
from apps.calibrated_ensemble.reports.class_colours import label_colours
from lib.datasets.label_tags import FINAL
from lib.dicom.segmentation_reader import read_segmentation
from lib.dicom.segmentation_writer import segmentation_dataset
from lib.errors import InputError
from lib.images.volume import Volume
from lib.task.task import Task


class PacsLabels:
    """Fetches and stores final labels; this machine's copies follow the PACS.

    Args:
        client: talks to the PACS.
        listing: knows which segmentations are labels.
        files: local copies.
        task: names the classes.
    """

    def __init__(self, client: PacsClient, listing: PacsListing, files: LocalFiles, task: Task):
        self._client = client
        self._listing = listing
        self._files = files
        self._task = task

    def fetch(self, series: Series) -> Path | None:
        """Give the file of the newest label that can be read, fetched unless it is there already.

        A segmentation that cannot be read is reported in the log, and is a label no more.

        Raises:
            UnreachableError: the PACS does not answer.
        """
        for stored in self._listing.current().labels.get(series.uid, ()):
            if self._files.information(series.uid, FINAL).get("segmentation") != stored.uid:
                try:
                    self._convert(series, stored)
                except InputError as error:
                    self._listing.mark_unreadable(series.uid, stored, str(error))
                    continue
            return self._files.label(series.uid, FINAL)
        return None

    def store(self, series: Series, label: Volume, information: Mapping[str, Any]) -> None:
        """Store a label in the PACS; from then on it is the newest.

        Args:
            series: the scan.
            label: with the task's values, on the grid of the scan's file.
            information: kept beside the local copy; names who drew it, see `annotator_of`.

        Raises:
            UnreachableError: the PACS does not answer.
            InputError: it refuses the object.
        """
        segmentation = segmentation_dataset(
            label.array,
            self._client.headers(series),
            labels=self._task.labels,
            colours=label_colours(self._task),
            creator=annotator_of(information),
        )
        self._client.store(segmentation)
        stored = StoredSegmentation(
            uid=str(segmentation.SOPInstanceUID),
            series=str(segmentation.SeriesInstanceUID),
            study=series.study,
            content=content_time(segmentation),
        )
        self._files.write_label(series.uid, FINAL, label, {**information, **_origin(stored)})
        self._listing.add_label(series.uid, stored, segmentation_facts(segmentation))

    def _convert(self, series: Series, stored: StoredSegmentation) -> None:
        grid = self._files.grid(series)
        label = read_segmentation(self._client.segmentation(stored), grid, labels=self._task.labels)
        self._files.write_label(series.uid, FINAL, Volume(label, grid.affine), _origin(stored))


def _origin(stored: StoredSegmentation) -> dict[str, str]:
    return {"segmentation": stored.uid, "SeriesInstanceUID": stored.series}
