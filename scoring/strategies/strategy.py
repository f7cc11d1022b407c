"""What a query strategy is: it gives scans that wait for a label their priorities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class Candidates:
    """N scans that may be served.

    Attributes:
        names: of the scans.
        estimated_dsc: float (N, C), of each class in [0, 1], by the current model; None without one.
    """

    names: Sequence[str]
    estimated_dsc: np.ndarray | None = None


class QueryStrategy(Protocol):
    """Which scan is worth a label most.

    A scan's priority depends on that scan alone: it is stored as soon as the scan is listed or scored,
    and the next scan is read from an index, however many there are.

    Attributes:
        needs_model: whether it looks at estimates; scans of which there are none come after the
            others, in random order.
        description: which scan comes first, for a person.
    """

    needs_model: ClassVar[bool]
    description: ClassVar[str]

    def priorities(self, candidates: Candidates) -> np.ndarray:
        """Finite priorities, float64 (N,); the scan with the lowest is served first."""


def serving_order(priorities: np.ndarray) -> np.ndarray:
    """Indices of scans by their priorities (N,), lowest first, equal ones as they came: int (N,)."""
    return np.argsort(priorities, kind="stable")
