"""Which scans a PACS holds, and which segmentation objects are their labels, as of a moment ago."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from apps.calibrated_ensemble.pacs.catalogue import CataloguedSegmentation, SegmentationCatalogue, SegmentationFacts
from apps.calibrated_ensemble.pacs.client import PacsClient, Series, StoredSegmentation
from lib.errors import UnreachableError
from lib.task.class_names import class_value

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    """Scans and labels of a PACS.

    Attributes:
        scans: by SeriesInstanceUID.
        labels: segmentation objects that are labels of a scan, the newest first; scans without one are left out.
        unusable: SeriesInstanceUID of a segmentation that cannot be a label, and why.
    """

    scans: Mapping[str, Series] = field(default_factory=dict)
    labels: Mapping[str, tuple[StoredSegmentation, ...]] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)


class PacsListing:
    """Lists a PACS again when the last list is older than some seconds; safe for threads.

    Args:
        client: asks the PACS.
        catalogue: knows which object belongs to which scan.
        labels: the task's classes, name to value; objects that hold none of them are no labels.
        refresh_seconds: for how long a list is good.
    """

    def __init__(
        self, client: PacsClient, catalogue: SegmentationCatalogue, *, labels: Mapping[str, int], refresh_seconds: float
    ):
        self._client = client
        self._catalogue = catalogue
        self._labels = dict(labels)
        self._refresh_seconds = refresh_seconds
        self._listing: Listing | None = None
        self._listed_at = -float("inf")
        self._revision = 0
        self._number = 0
        self._lock = threading.RLock()

    @property
    def revision(self) -> int:
        """Grows whenever the list has changed.

        Raises:
            UnreachableError: see `current`.
        """
        with self._lock:
            self.current()
            return self._revision

    def current(self) -> Listing:
        """Give the list; while the PACS does not answer, the last one.

        Raises:
            UnreachableError: the PACS does not answer and never did.
            InputError: it refuses the query.
        """
        with self._lock:
            if self._listing is None or time.monotonic() - self._listed_at >= self._refresh_seconds:
                try:
                    self._replace(self._list())
                    self._number += 1
                except UnreachableError as error:
                    if self._listing is None:
                        raise
                    logger.warning("%s; going on with the last list of scans", error)
                    self._listed_at = time.monotonic()
            return self._listing or Listing()

    def numbered(self) -> tuple[int, Listing]:
        """Give the list, and how often the PACS was listed until it was made; see `current`."""
        with self._lock:
            listing = self.current()
            return self._number, listing

    def refresh(self) -> None:
        """Have the PACS listed again when the list is next asked for."""
        with self._lock:
            self._listed_at = -float("inf")

    def add_label(self, scan: str, stored: StoredSegmentation, facts: SegmentationFacts) -> None:
        """Take note of a label that was just stored, which is the newest from now on."""
        with self._lock:
            self._catalogue.add(stored, facts)
            known = self.current()
            older = tuple(one for one in known.labels.get(scan, ()) if one.uid != stored.uid)
            self._replace(Listing(known.scans, {**known.labels, scan: (stored, *older)}, known.unusable))

    def mark_unreadable(self, scan: str, stored: StoredSegmentation, reason: str) -> None:
        """Take note that a segmentation cannot be read, so that it is a label no more; says so in the log."""
        with self._lock:
            logger.warning("Scan %s: segmentation %s is no usable label: %s", scan, stored.series, reason)
            self._catalogue.mark_unreadable(stored, reason)
            known = self.current()
            left = tuple(one for one in known.labels.get(scan, ()) if one != stored)
            others = {name: labels for name, labels in known.labels.items() if name != scan}
            self._replace(
                Listing(
                    known.scans, {**others, **({scan: left} if left else {})}, {**known.unusable, stored.series: reason}
                )
            )

    def _replace(self, listing: Listing) -> None:
        if self._listing is None or (self._listing.scans.keys(), self._listing.labels) != (
            listing.scans.keys(),
            listing.labels,
        ):
            self._revision += 1
        self._listing = listing
        self._listed_at = time.monotonic()

    def _list(self) -> Listing:
        scans = {series.uid: series for series in self._client.series()}
        described, unusable = self._catalogue.describe(self._client.segmentations())
        labels: dict[str, list[CataloguedSegmentation]] = {}
        for one in described:
            if one.facts.scan not in scans:
                continue
            unknown = self._unknown_segments(one.facts)
            if one.facts.unreadable is not None:
                unusable[one.stored.series] = one.facts.unreadable
            elif not unknown:
                labels.setdefault(one.facts.scan, []).append(one)
            elif self._is_of_this_task(one.facts):
                unusable[one.stored.series] = (
                    f"segment {unknown[0]!r} is no class of the task; remove it, or name it {' or '.join(self._labels)}"
                )
        known = self._listing.unusable if self._listing else {}
        for series, reason in unusable.items():
            if series not in known:
                logger.warning("Segmentation %s is no usable label: %s", series, reason)
        return Listing(
            scans,
            {
                scan: tuple(one.stored for one in sorted(found, key=_recency, reverse=True))
                for scan, found in labels.items()
            },
            unusable,
        )

    def _unknown_segments(self, facts: SegmentationFacts) -> list[str]:
        """Names of the segments that are no class of the task."""
        return [
            name for name in facts.segments if class_value(name, self._labels, is_label_map=facts.is_label_map) is None
        ]

    def _is_of_this_task(self, facts: SegmentationFacts) -> bool:
        """Whether any segment is a class of the task."""
        return any(class_value(name, self._labels) is not None for name in facts.segments)


def _recency(described: CataloguedSegmentation) -> tuple[str, str]:
    return (described.facts.content or described.stored.content, described.stored.uid)
