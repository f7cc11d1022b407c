"""The list of scans in the database, kept equal to that of their source."""

import threading

from sqlalchemy import Engine

from lib.datasets.scan_source import ScanSource
from scoring.database.scan_list import last_event, synchronise_scans


class ScanRegister:
    """Keeps the database's list of scans equal to the source's.

    Writing a list of 100,000 scans takes seconds, so it is written only when it differs from the
    last one, and a source that counts its changes is listed only after one.

    Args:
        scans: which scans there are.
        engine: from `scoring.database.engine.open_database`.
    """

    def __init__(self, scans: ScanSource, engine: Engine):
        self.scans = scans
        self._engine = engine
        self._revision: int | None = None
        self._listing: int | None = None
        self._event = 0
        self._names: frozenset[str] | None = None
        self._labelled: set[str] = set()
        self._lock = threading.Lock()

    def synchronise(self, *, always: bool = False) -> None:
        """Bring the database up to date.

        Args:
            always: write the list whether it has changed or not.

        Raises:
            DatabaseError: the database cannot be written to.
            UnreachableError: the PACS does not answer.
        """
        with self._lock:
            event = last_event(self._engine)
            revision = self.scans.revision
            if revision is not None and revision == self._revision and not always:
                return
            names = self.scans.names()
            if names.listing is None or names.listing != self._listing:
                self._listing, self._event = names.listing, event
            if always or names.all != self._names or names.labelled != self._labelled:
                synchronise_scans(self._engine, sorted(names.all), names.labelled, last_event=self._event)
            self._revision, self._names, self._labelled = revision, names.all, set(names.labelled)

    def is_scored_as_it_is(self, scan: str, stamp: str | None) -> bool:
        """Whether a score is of the files that are there now; one of an earlier content is shown to nobody.

        Args:
            scan: name of the scan.
            stamp: of the files that were scored; None where nobody knows, and the score counts.
        """
        return stamp is None or self.scans.stamp(scan) == stamp

    def note_labelled(self, name: str) -> None:
        """Take note that the database knows already that this scan is labelled."""
        with self._lock:
            self._labelled.add(name)
