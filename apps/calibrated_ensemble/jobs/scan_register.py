"""The list of scans in the database, kept equal to that of the datastore."""

import threading
import time

from monailabel.interfaces.datastore import Datastore
from sqlalchemy import Engine

from scoring.database.scan_list import synchronise_scans


class ScanRegister:
    """Keeps the database's list of scans equal to the datastore's.

    Writing a list of 100,000 scans takes seconds, so it is written only when it differs from the
    last one, and a datastore that counts its changes (`StudiesFolder.revision`) is listed only
    after one.
    """

    def __init__(self, datastore: Datastore, engine: Engine):
        self._datastore = datastore
        self._engine = engine
        self._revision: int | None = None
        self._scans: set[str] | None = None
        self._labelled: set[str] = set()
        self._lock = threading.Lock()

    def synchronise(self, *, always: bool = False) -> None:
        """Bring the database up to date.

        Args:
            always: write the list whether it has changed or not.

        Raises:
            InputError: the database cannot be written to.
        """
        with self._lock:
            revision = getattr(self._datastore, "revision", None)
            if revision is not None and revision == self._revision and not always:
                return
            listed_at = time.time()
            scans, labelled = set(self._datastore.list_images()), set(self._datastore.get_labeled_images())
            if always or scans != self._scans or labelled != self._labelled:
                synchronise_scans(self._engine, sorted(scans), labelled, listed_at=listed_at)
            self._revision, self._scans, self._labelled = revision, scans, labelled

    def note_labelled(self, name: str) -> None:
        """Take note that the database knows already that this scan is labelled."""
        with self._lock:
            self._labelled.add(name)
