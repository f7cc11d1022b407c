"""Rounds that nobody trained a model for."""

import numpy as np

from benchmarks.active_learning.choice import Strategy
from benchmarks.active_learning.round_records import Candidate, Round

CLASSES = ("anterior", "posterior")


def a_candidate(rng: np.random.Generator) -> Candidate:
    true, estimated = rng.uniform(size=(2, 2)).tolist()
    volume, distance = rng.uniform(1, 9, 2).tolist()
    return Candidate(estimated_dsc=estimated, true_dsc=true, entropy=0.1, volume=volume, distance=distance)


def a_round(seed: int, strategy: Strategy, number: int, *, shift: float = 0.0, last: int = 2) -> Round:
    """A round of eight test scans; strategies differ by their shift alone."""
    rng = np.random.default_rng([seed, number])
    names = [f"scan_{index}" for index in range(9)]
    return Round(
        seed=seed,
        strategy=strategy,
        number=number,
        labelled=tuple(f"labelled_{index}" for index in range(4 + 2 * number)),
        folds={},
        test_dsc={f"test_{index}": tuple(rng.uniform(0, 0.9, 2) + shift) for index in range(8)},
        candidates={name: a_candidate(rng) for name in names} if number < last else {},
        chosen=("scan_3", "scan_7") if number < last else (),
        mutual_distances=(0.5, 0.7) if number < last else (),
        seconds=1.0,
    )
