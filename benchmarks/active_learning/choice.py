"""Which unlabelled scans are labelled next: pure functions of what the current model makes of them."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.preprocessing import StandardScaler

from scoring.strategies.k_centre import k_centres
from scoring.strategies.least_certain import LeastCertain
from scoring.strategies.strategy import Candidates, serving_order

SHORTLIST = 3
"""`diverse` takes the most different ones of so many times as many least certain scans as are wanted."""


class Strategy(StrEnum):
    """How the next scans are chosen."""

    LEAST_CERTAIN = "least_certain"
    RANDOM = "random"
    ENTROPY = "entropy"
    DIVERSE = "diverse"


@dataclass(frozen=True, eq=False, kw_only=True)
class AssessedCandidates(Candidates):
    """N unlabelled scans as the current model sees them.

    Attributes:
        entropy: mean entropy of each, float (N,).
        features: standardised features of each, float (N, D).
        labelled_features: those of the labelled scans, float (L, D), L >= 1.
    """

    entropy: np.ndarray
    features: np.ndarray
    labelled_features: np.ndarray

    @property
    def ranking(self) -> np.ndarray:
        """Indices of the scans in the product's order, least certain first, int (N,)."""
        return serving_order(LeastCertain().priorities(self))


def choose(strategy: Strategy, candidates: AssessedCandidates, count: int, *, rng: np.random.Generator) -> np.ndarray:
    """Choose the scans to label next.

    Args:
        strategy: how.
        candidates: the unlabelled scans.
        count: how many, 1..N.
        rng: what `random` draws from.

    Returns:
        Different indices of candidates, int (count,), first choice first.

    Raises:
        ValueError: there are fewer candidates.
    """
    available = len(candidates.names)
    if not 1 <= count <= available:
        raise ValueError(f"{count} scans cannot be chosen of {available}")
    match strategy:
        case Strategy.LEAST_CERTAIN:
            return candidates.ranking[:count]
        case Strategy.RANDOM:
            return rng.choice(available, count, replace=False)
        case Strategy.ENTROPY:
            return serving_order(-candidates.entropy)[:count]
        case Strategy.DIVERSE:
            shortlist = candidates.ranking[: SHORTLIST * count]
            return shortlist[k_centres(candidates.features[shortlist], candidates.labelled_features, count)]


def mutual_distances(points: np.ndarray) -> np.ndarray:
    """Euclidean distance of each point (N, D) to the nearest other one, float64 (N,); N >= 2."""
    distances = cdist(points, points)
    np.fill_diagonal(distances, np.inf)
    return distances.min(axis=1)


def standardise(features: np.ndarray) -> np.ndarray:
    """Give every feature mean 0 and the same spread over the scans.

    Args:
        features: float (N, D), N >= 1.

    Returns:
        float64 (N, D), scaled so that the squared distance of two scans is the mean over the features:
        two scans drawn at random are about 1.4 apart, whatever D is. A constant feature becomes 0.
    """
    return StandardScaler().fit_transform(features.astype(np.float64)) / np.sqrt(features.shape[1])
