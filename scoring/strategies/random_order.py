"""A random order that is the same on every machine and does not change when scans are added."""

import hashlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scoring.strategies.strategy import Candidates


def random_position(seed: int, name: str) -> int:
    """Place of a scan in the random order of a seed: a 63-bit hash."""
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


@dataclass(frozen=True)
class RandomOrder:
    """By a hash of the name.

    Attributes:
        seed: another one gives another order.
    """

    needs_model: ClassVar[bool] = False
    description: ClassVar[str] = "An unlabelled scan in a random but reproducible order"

    seed: int

    def priorities(self, candidates: Candidates) -> np.ndarray:
        """`random_position` of each scan as a fraction of its range, float64 (N,) in [0, 1]."""
        return np.array([random_position(self.seed, name) / 2**63 for name in candidates.names], dtype=np.float64)
