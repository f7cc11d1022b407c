"""The order in which scans are served, as the stored priorities say."""

from typing import Any, NamedTuple

from sqlalchemy import Select, and_, exists, select

from scoring.database.tables import NO_MODEL, leases, priorities, scans, scores
from scoring.strategies.registry import RANDOM, query_strategies


class QueueOrder(NamedTuple):
    """Queries of unlabelled scans, in the order of the queue.

    Each gives rows of `scans.id`, `scans.name`, `scores.mean`, `scores.classes`, `scores.error`,
    `scores.stamp`, `leases.client` and `leases.expires`; the last six are None where there is no score of the
    generation or no lease at present. An index leads to the first rows of each, however many there are.

    Attributes:
        served: what is served: first the scans that have a priority of the strategy, then the others
            in random order. Of equal priorities the older row comes first.
        broken: what could not be scored for the generation, which is not served.
    """

    served: tuple[Select[Any], ...]
    broken: Select[Any]


def queue_order(strategy: str, generation: str | None, *, now: float) -> QueueOrder:
    """Give the queries for a strategy.

    Args:
        strategy: a name in `scoring.strategies.registry.STRATEGIES`.
        generation: id of the generation whose scores count; None before the first.
        now: seconds since 1970; leases that ended by then are not seen.
    """
    in_random_order = _by_priority(RANDOM, NO_MODEL, generation, now)
    broken = in_random_order.where(scores.c.error.is_not(None))
    others = in_random_order.where(scores.c.error.is_(None))
    model = generation if query_strategies()[strategy].needs_model else NO_MODEL
    if strategy == RANDOM or model is None:
        return QueueOrder((others,), broken)
    first = _by_priority(strategy, model, generation, now).where(scores.c.error.is_(None))
    own = priorities.alias()
    ranked = exists().where(
        own.c.scan_id == priorities.c.scan_id, own.c.strategy == strategy, own.c.generation == model
    )
    return QueueOrder((first, others.where(~ranked)), broken)


def _by_priority(strategy: str, model: str, generation: str | None, now: float) -> Select[Any]:
    return (
        select(
            scans.c.id,
            scans.c.name,
            scores.c.mean,
            scores.c.classes,
            scores.c.error,
            scores.c.stamp,
            leases.c.client,
            leases.c.expires,
        )
        .select_from(priorities)
        # SQLite looks into tables in this order: what is leased costs no look into the others.
        .outerjoin(leases, and_(leases.c.scan_id == priorities.c.scan_id, leases.c.expires > now))
        .outerjoin(scores, and_(scores.c.scan_id == priorities.c.scan_id, scores.c.generation == generation))
        .join(scans, scans.c.id == priorities.c.scan_id)
        .where(priorities.c.strategy == strategy, priorities.c.generation == model, priorities.c.waiting)
        .order_by(priorities.c.priority, priorities.c.scan_id)
    )
