"""What serving costs, in steps of SQLite's machine: unlike milliseconds, the same on every day."""

from pathlib import Path

import pytest
from sqlalchemy import event, literal, select

from scoring.database.engine import open_database, writing
from scoring.database.scan_list import synchronise_scans
from scoring.database.tables import priorities, scans, scores
from scoring.worklist.next_scan import next_scan


def steps(path: Path, count: int, labelled: int, strategy: str, generation: str | None) -> int:
    """Steps for one scan served, the `labelled` least certain scans having a label."""
    engine = open_database(path)
    names = [f"scan_{index:06d}" for index in range(count)]
    synchronise_scans(engine, names, [])
    with writing(engine) as connection:
        ids = connection.scalars(select(scans.c.id).order_by(scans.c.name)).all()
        rows = [
            {"scan_id": id_, "generation": "g", "mean": id_ / count / 2, "seconds": 1.0, "time": 0.0} for id_ in ids
        ]
        connection.execute(scores.insert(), rows)
        ranked = select(scores.c.scan_id, literal("least_certain"), scores.c.generation, scores.c.mean, literal(True))
        columns = ["scan_id", "strategy", "generation", "priority", "waiting"]
        connection.execute(priorities.insert().from_select(columns, ranked))
    synchronise_scans(engine, names, names[:labelled])

    counted = 0

    def count_step() -> int:
        nonlocal counted
        counted += 1
        return 0

    def watch(connection, _record, _proxy) -> None:  # of the pool, whose types are the driver's
        connection.set_progress_handler(count_step, 1)

    event.listen(engine, "checkout", watch)
    served = next_scan(engine, client="ann", strategy=strategy, generation=generation, lease_seconds=9)
    assert served is not None
    if (strategy, generation) == ("least_certain", "g"):
        assert served.scan == names[labelled]
    engine.dispose()
    return counted


@pytest.mark.parametrize(
    ("strategy", "generation"),
    [("least_certain", "g"), ("least_certain", "newer"), ("least_certain", None), ("random", "g")],
)
def test_serving_takes_no_more_steps_when_there_are_many_scans_and_labels(
    tmp_path: Path, strategy: str, generation: str | None
) -> None:
    few = steps(tmp_path / "few.sqlite", 10, 0, strategy, generation)
    many = steps(tmp_path / "many.sqlite", 5000, 2500, strategy, generation)
    assert 100 < few < 1000
    assert many < 1.2 * few
