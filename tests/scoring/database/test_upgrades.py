"""A database that version 0.1.0 wrote, kept in `version_1`, goes on where it stood."""

import multiprocessing
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, inspect, select

from lib.errors import DatabaseError
from scoring.database.engine import open_database, reading
from scoring.database.scan_list import mark_labelled, synchronise_scans
from scoring.database.score_records import record_failure, record_score
from scoring.database.tables import SCHEMA_VERSION, events, information, leases, metadata, priorities, scans, scores
from scoring.database.upgrades import upgrade_tables
from scoring.worklist.leases import end_lease
from scoring.worklist.next_scan import next_scan
from scoring.worklist.ranking import ranking

FOLDER = Path(__file__).parent / "version_1"
SEED = 7
NOW = 500.0
PROCESSES = 4


@pytest.fixture
def old(database: str) -> str:
    """A database as version 0.1.0 left it."""
    if "://" not in database:
        Path(database).parent.mkdir(parents=True)
    url = database if "://" in database else f"sqlite:///{database}"
    engine = create_engine(url)
    with engine.begin() as connection:
        run_script(connection, FOLDER / f"{engine.dialect.name}.sql")
        run_script(connection, FOLDER / "rows.sql")
        if engine.dialect.name == "postgresql":
            for table in ("scans", "events"):
                connection.exec_driver_sql(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))")
    engine.dispose()
    return database


def run_script(connection: Connection, path: Path) -> None:
    for statement in path.read_text().split(";\n"):
        if statement.strip():
            connection.exec_driver_sql(statement)


def read_all(database: str) -> dict[str, list[tuple]]:
    """All rows of all tables, as they are stored."""
    url = database if "://" in database else f"sqlite:///{database}"
    engine = create_engine(url)
    with engine.begin() as connection:
        tables = sorted(inspect(connection).get_table_names())
        rows = {
            table: sorted(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {table}")), key=repr)
            for table in tables
        }
    engine.dispose()
    return rows


def served(engine: Engine, strategy: str, generation: str | None) -> list[str]:
    """What another annotator is served one after the other; it is given back in the end."""
    found: list[str] = []
    while True:
        answer = next_scan(
            engine,
            client="bob",
            strategy=strategy,
            generation=generation,
            lease_seconds=9e9,
            seed=SEED,
            now=NOW + len(found),
        )
        assert answer is not None
        if answer.again:
            break
        found.append(answer.scan)
    for scan in found:
        end_lease(engine, scan)
    return found


def test_the_order_of_serving_is_that_of_the_old_program(old: str) -> None:
    engine = open_database(old)
    # Written down from version 0.1.0 on the same rows.
    assert served(engine, "least_certain", "new") == ["heart_2", "heart_3", "heart_5"]
    assert served(engine, "least_certain", "old") == ["heart_4", "heart_3", "heart_5"]
    assert served(engine, "least_certain", None) == ["heart_4", "heart_2", "heart_3", "heart_5"]
    assert served(engine, "random", "new") == ["heart_2", "heart_3", "heart_5"]
    assert served(engine, "random", "old") == ["heart_4", "heart_3", "heart_5"]
    assert served(engine, "random", None) == ["heart_4", "heart_2", "heart_3", "heart_5"]
    engine.dispose()


def test_the_ranking_is_that_of_the_old_program(old: str) -> None:
    engine = open_database(old)
    reason = "heart_4.nii.gz: is truncated"
    lines = ranking(engine, "new", now=NOW)
    assert [(line.scan, line.mean_estimated_dsc, line.error, line.leased_to) for line in lines] == [
        ("heart_2", 0.375, None, None),
        ("heart_3", 0.375, None, None),
        ("heart_1", 0.625, None, "ann"),
        ("heart_5", None, None, None),
        ("heart_4", None, reason, None),
    ]
    assert lines[0].estimated_dsc == {"organ": 0.5, "lesion": 0.25}
    assert lines[2].lease_expires == 4000.0
    by_generation = {"old": ["heart_1", "heart_4", "heart_3", "heart_5", "heart_2"]}
    by_generation |= {"": ["heart_1", "heart_4", "heart_2", "heart_3", "heart_5"]}
    for generation, names in by_generation.items():
        assert [line.scan for line in ranking(engine, generation or None, now=NOW)] == names
    engine.dispose()


def test_nothing_is_lost(old: str) -> None:
    before = read_all(old)
    open_database(old).dispose()
    after = read_all(old)
    assert after["events"] == before["events"]
    assert after["leases"] == before["leases"] == [(1, "ann", 400.0, 4000.0)]
    assert after["information"] == [(1, SCHEMA_VERSION, SEED)]
    assert after["scans"] == [(id_, name, state, at) for id_, name, state, _, at in before["scans"]]
    assert sorted(after["scores"], key=repr) == sorted(
        ((*row[:2], *row[3:], None, None) for row in before["scores"]), key=repr
    )
    assert len(after["priorities"]) == len(before["scans"]) + sum(row[3] is not None for row in before["scores"])


def test_what_was_brought_up_to_date_is_what_the_program_would_have_written(old: str, tmp_path: Path) -> None:
    upgraded = open_database(old)
    fresh = open_database(tmp_path / "fresh" / "database.sqlite")
    names = [f"heart_{number}" for number in range(1, 9)]
    synchronise_scans(fresh, names, ["heart_8"])
    next_scan(fresh, client="x", strategy="random", generation=None, lease_seconds=1.0, seed=SEED, now=0.0)
    with reading(upgraded) as connection:
        old_scores = connection.execute(select(scans.c.name, scores.c.generation, scores.c.classes).join(scores)).all()
    for name, generation, classes in old_scores:
        if classes is None:
            record_failure(fresh, name, generation, "is truncated", seconds=0.5)
        else:
            record_score(fresh, name, generation, classes, seconds=1.5)
    mark_labelled(fresh, "heart_7")
    synchronise_scans(fresh, [name for name in names if name != "heart_6"], ["heart_7", "heart_8"])
    columns = select(
        scans.c.name, priorities.c.strategy, priorities.c.generation, priorities.c.priority, priorities.c.waiting
    ).join(priorities)
    found = []
    for engine in (upgraded, fresh):
        with reading(engine) as connection:
            found.append(sorted(map(tuple, connection.execute(columns))))
        engine.dispose()
    assert found[0] == found[1]


def test_the_tables_are_those_of_a_new_database(old: str) -> None:
    def shape(engine: Engine) -> dict:
        inspector = inspect(engine)
        return {
            table: (
                [(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(table)],
                inspector.get_pk_constraint(table)["constrained_columns"],
                [
                    (key["constrained_columns"], key["referred_table"], key["referred_columns"], key["options"])
                    for key in inspector.get_foreign_keys(table)
                ],
                sorted((str(index["name"]), index["column_names"]) for index in inspector.get_indexes(table)),
                [constraint["column_names"] for constraint in inspector.get_unique_constraints(table)],
            )
            for table in inspector.get_table_names()
        }

    upgraded = open_database(old)
    found = shape(upgraded)
    metadata.drop_all(upgraded)
    metadata.create_all(upgraded)
    assert found == shape(upgraded)
    upgraded.dispose()


def test_references_still_hold(old: str) -> None:
    engine = open_database(old)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        connection.execute(scans.delete().where(scans.c.name == "heart_1"))
        for table in (scores, leases, priorities):
            assert connection.execute(select(table).where(table.c.scan_id == 1)).all() == []
    engine.dispose()


def test_the_work_goes_on(old: str) -> None:
    engine = open_database(old)
    record_score(engine, "heart_5", "new", {"organ": 0.0, "lesion": 0.5}, seconds=1.0)
    synchronise_scans(engine, ["heart_2", "heart_5", "heart_9"], [])
    mark_labelled(engine, "heart_2")
    assert [line.scan for line in ranking(engine, "new")] == ["heart_5", "heart_9"]
    with reading(engine) as connection:
        assert connection.scalar(select(scans.c.id).where(scans.c.name == "heart_9")) == 9
        assert connection.scalar(select(events.c.id).order_by(events.c.id.desc())) == 12
    engine.dispose()


def test_an_upgrade_that_fails_half_way_leaves_everything_as_it_was(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def upgrade_and_fail(connection: Connection, version: int) -> int:
        upgrade_tables(connection, version)
        raise KeyboardInterrupt

    before = read_all(old)
    with monkeypatch.context() as patched:
        patched.setattr("scoring.database.engine.upgrade_tables", upgrade_and_fail)
        with pytest.raises(KeyboardInterrupt):
            open_database(old)
    assert read_all(old) == before
    open_database(old).dispose()
    assert read_all(old)["information"] == [(1, SCHEMA_VERSION, SEED)]


def test_a_full_disk_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "database.sqlite"
    file = sqlite3.connect(path)
    for script in ("sqlite.sql", "rows.sql"):
        file.executescript((FOLDER / script).read_text())
    file.close()
    before = read_all(str(path))

    def upgrade_on_a_full_disk(connection: Connection, version: int) -> int:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        return upgrade_tables(connection, version)

    with monkeypatch.context() as patched:
        patched.setattr("scoring.database.engine.upgrade_tables", upgrade_on_a_full_disk)
        with pytest.raises(DatabaseError, match="full"):
            open_database(path)
    assert read_all(str(path)) == before
    open_database(path).dispose()


def open_together(database: str, barrier, answers) -> None:  # barrier and queue of a spawned process
    barrier.wait(timeout=60)
    engine = open_database(database)
    answers.put([line.scan for line in ranking(engine, "new", now=NOW)])
    engine.dispose()


def test_several_processes_may_open_it_at_once(old: str) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(PROCESSES), context.Queue()
    processes = [context.Process(target=open_together, args=(old, barrier, answers)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(timeout=60)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert found == [["heart_2", "heart_3", "heart_1", "heart_5", "heart_4"]] * PROCESSES


def test_a_database_that_is_up_to_date_is_only_read(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_database(database).dispose()
    refuse: Callable[..., int] = pytest.fail
    monkeypatch.setattr("scoring.database.engine.upgrade_tables", refuse)
    engine = open_database(database)
    with reading(engine) as connection:
        assert connection.scalar(select(information.c.schema_version)) == SCHEMA_VERSION
    engine.dispose()
