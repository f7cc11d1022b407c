"""What is expected of the scans that have no label yet."""

from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from scoring.database.engine import reading
from scoring.database.tables import ScanState, scans, scores


@dataclass(frozen=True)
class MeanEstimate:
    """What a generation expects of the scans that have no label now.

    Attributes:
        mean: of their estimated DSC, 0..1.
        scans: number of them that it scored.
    """

    mean: float
    scans: int


def mean_estimates(engine: Engine) -> dict[str, MeanEstimate]:
    """Give what each generation expects of the scans that have no label now, by its id.

    Raises:
        DatabaseError: the database cannot be read.
    """
    query = (
        select(scores.c.generation, func.avg(scores.c.mean), func.count(scores.c.mean))
        .join(scans)
        .where(scans.c.state == ScanState.UNLABELLED.value, scores.c.mean.is_not(None))
        .group_by(scores.c.generation)
    )
    with reading(engine) as connection:
        return {generation: MeanEstimate(mean, count) for generation, mean, count in connection.execute(query)}


def estimates_of_unlabelled(engine: Engine, generation: str) -> list[float]:
    """Give the mean estimated DSC of each scan without a label, 0..1, ascending.

    Raises:
        DatabaseError: the database cannot be read.
    """
    query = (
        select(scores.c.mean)
        .join(scans)
        .where(
            scans.c.state == ScanState.UNLABELLED.value,
            scores.c.generation == generation,
            scores.c.mean.is_not(None),
        )
        .order_by(scores.c.mean)
    )
    with reading(engine) as connection:
        return list(connection.scalars(query))
