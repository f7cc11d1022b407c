"""Where scans come from: a folder, or a PACS. Training, scoring and the worklist know no more of it than this."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from lib.datasets.scans import LabelledScan


class ScorableScan(Protocol):
    """A scan in a folder, or one that is fetched when its path is asked for."""

    @property
    def name(self) -> str:
        """Name of the scan."""

    @property
    def image(self) -> Path | Callable[[], Path]:
        """Image file; a callable may fetch it first, and may fail."""

    @property
    def region(self) -> Path | Callable[[], Path] | None:
        """Region mask outside which nothing is predicted, if the scan has one."""

    @property
    def stamp(self) -> str:
        """What changes whenever image or region may have changed; nothing is read or fetched for it."""


def path_of(file: Path | Callable[[], Path]) -> Path:
    """Give the path of a scan's file, fetched first where that is needed; see `ScorableScan`."""
    return file() if callable(file) else file


class PredictedScan(Protocol):
    """What is predicted for a scan, on its own grid."""

    @property
    def heatmap(self) -> np.ndarray:
        """Shape (C, x, y, z), probabilities."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the C classes."""

    @property
    def generation(self) -> str:
        """Id of the generation that predicted."""


@dataclass(frozen=True)
class ScanNames:
    """Which scans there are.

    Attributes:
        all: names of the scans.
        labelled: those of them that have a final label.
        listing: of a source that lists now and then, which list it is; None where the names are those of this moment.
    """

    all: frozenset[str]
    labelled: frozenset[str]
    listing: int | None = None


class ScanSource(Protocol):
    """The scans of a folder or of a PACS."""

    @property
    def revision(self) -> int | None:
        """Grows whenever `names` may have changed; None where only listing them tells."""

    def names(self) -> ScanNames:
        """List the scans; nothing is read or downloaded for that.

        Raises:
            InputError: there is no such folder, or the PACS refuses the query.
            UnreachableError: the PACS does not answer.
        """

    def labelled(self) -> Sequence[LabelledScan]:
        """Give the scans with a final label in the order of their names, downloaded where that is needed.

        Raises:
            InputError: see `names`.
            UnreachableError: see `names`.
            StorageError: what was downloaded cannot be written.
        """

    def unlabelled(self) -> Sequence[ScorableScan]:
        """Give the scans without a final label in the order of their names; nothing is downloaded for that.

        Raises:
            InputError: see `names`.
            UnreachableError: see `names`.
        """

    def is_unlabelled(self, name: str) -> bool:
        """Whether a scan is there and has no final label, as is known at this moment.

        Raises:
            UnreachableError: see `names`.
        """

    def region(self, name: str) -> Path | None:
        """Give the region mask of a scan; None when the task names none or the scan has none."""

    def stamp(self, name: str) -> str:
        """Give the `ScorableScan.stamp` of a scan as it is now."""

    def keep_heatmap(self, name: str, prediction: PredictedScan) -> None:
        """Keep what was predicted for a scan where people look for it, if the source is made for that.

        What cannot be kept is told in the log: the score of the scan stands all the same.

        Args:
            name: of the scan.
            prediction: on the grid of the scan's file.
        """
