"""The scans of a folder that a server watches."""

from pathlib import Path

from apps.calibrated_ensemble.datastores.studies_folder import StudiesFolder
from lib.datasets.label_tags import FINAL
from lib.datasets.scan_source import ScanNames
from lib.datasets.scans import stamp_files
from lib.datasets.studies_folder import FolderScans
from lib.task.task import Task


class IndexedScans(FolderScans):
    """The scans of a studies folder, whose names come from the server's index: nothing is listed for a request.

    Args:
        datastore: keeps the index.
        task: names the region tag and the patients.
    """

    def __init__(self, datastore: StudiesFolder, task: Task):
        super().__init__(datastore.folder, task)
        self._datastore = datastore

    @property
    def revision(self) -> int | None:
        """Grows whenever the index has changed."""
        return self._datastore.revision

    def names(self) -> ScanNames:
        """See `ScanSource.names`."""
        self._datastore.catch_up()
        return ScanNames(frozenset(self._datastore.list_images()), frozenset(self._datastore.get_labeled_images()))

    def stamp(self, name: str) -> str:
        """See `ScanSource.stamp`."""
        region = self._datastore.get_label_uri(name, self._task.region) if self._task.region else ""
        return stamp_files(Path(self._datastore.get_image_uri(name)), Path(region) if region else None)

    def is_unlabelled(self, name: str) -> bool:
        """See `ScanSource.is_unlabelled`; labels that another server stored count."""
        self._datastore.catch_up()
        uri = self._datastore.get_image_uri(name)
        return bool(uri) and Path(uri).exists() and not self._datastore.get_label_by_image_id(name, FINAL)
