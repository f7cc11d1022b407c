"""How many scans there are of each kind."""

import time
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Engine, func, select

from scoring.database.engine import reading
from scoring.database.tables import ScanState, scans, scores
from scoring.worklist.leases import _leased, _score


@dataclass(frozen=True)
class QueueState:
    """How many scans there are of each kind; every scan is of one kind."""

    labelled: int
    leased: int
    broken: int
    free: int

    @property
    def reason(self) -> str:
        """Why nothing is served, in words for the annotator; empty when something is."""
        if self.free:
            return ""
        if not self.labelled + self.leased + self.broken:
            return "There are no scans: put some into the studies folder."
        parts = []
        if self.leased:
            parts.append(f"Unlabelled scans that annotators have at present: {self.leased}; labelled: {self.labelled}.")
        elif self.labelled:
            parts.append(f"All readable scans are labelled ({self.labelled}).")
        if self.broken:
            parts.append(f"Scans that could not be read: {self.broken}; the ranking gives the reasons.")
        return " ".join(parts)


def queue_state(engine: Engine, *, generation: str | None, now: float | None = None) -> QueueState:
    """Count what is labelled, leased, broken and free, to say why nothing is served.

    Raises:
        DatabaseError: the database cannot be read.
    """
    moment = time.time() if now is None else now
    unlabelled = scans.c.state == ScanState.UNLABELLED.value
    broken = _score(generation, scores.c.error.is_not(None))
    leased = _leased(moment)

    def count(*conditions: ColumnElement[bool]) -> int:
        return connection.execute(select(func.count()).select_from(scans).where(*conditions)).scalar_one()

    with reading(engine) as connection:
        return QueueState(
            labelled=count(scans.c.state == ScanState.LABELLED.value),
            leased=count(unlabelled, leased, ~broken),
            broken=count(unlabelled, broken),
            free=count(unlabelled, ~leased, ~broken),
        )
