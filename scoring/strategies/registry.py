"""The strategies that annotators can ask for, by name."""

from scoring.strategies.least_certain import LeastCertain
from scoring.strategies.random_order import RandomOrder
from scoring.strategies.strategy import QueryStrategy

RANDOM = "random"
"""The strategy whose order holds for scans that another one has nothing to say of."""


def query_strategies(seed: int = 0) -> dict[str, QueryStrategy]:
    """All strategies by name; the first is what viewers take when the annotator does not choose.

    A strategy that is added and needs a model has priorities for the scans that are scored from then on:
    fill in those of stored scores by a step in `scoring.database.upgrades`.

    Args:
        seed: of those that need no model. The others leave nothing to chance: their priorities stay
            when the seed changes.
    """
    return {"least_certain": LeastCertain(), RANDOM: RandomOrder(seed)}


STRATEGIES = tuple(query_strategies())
"""Names of the strategies."""
