import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Engine, func, select

from lib.errors import DatabaseError, InputError, ProductError, StorageError
from scoring.database.engine import open_database, reading, record_event, writing
from scoring.database.scan_list import synchronise_scans
from scoring.database.tables import SCHEMA_VERSION, events, information, metadata, scans
from tests.unprivileged import read_only_folder


def test_is_made_on_first_use_with_its_folder_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "workspace" / "database.sqlite"
    first = open_database(path)
    synchronise_scans(first, ["a", "b"], ["b"])
    first.dispose()
    with reading(open_database(str(path))) as connection:
        assert set(connection.scalars(select(scans.c.name))) == {"a", "b"}


def test_takes_any_url(tmp_path: Path) -> None:
    synchronise_scans(open_database(f"sqlite:///{tmp_path}/queue.db"), ["a"], [])
    assert sqlite3.connect(tmp_path / "queue.db").execute("SELECT name FROM scans").fetchall() == [("a",)]


def test_writes_ahead_and_enforces_references(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "database.sqlite")
    with reading(engine) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_can_be_read_while_another_connection_writes(engine: Engine) -> None:
    synchronise_scans(engine, ["a"], [])
    with writing(engine) as writer:
        writer.execute(scans.update().values(name="b"))
        with reading(engine) as reader:
            assert reader.scalar(select(scans.c.name)) == "a"


def test_keeps_nothing_of_a_block_that_raises(engine: Engine) -> None:
    def write_half() -> None:
        with writing(engine) as connection:
            record_event(connection, "served", time=1.0, scan="a")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(events)) == 0


def test_an_error_of_the_program_is_not_taken_for_one_of_the_disk(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "database.sqlite")
    with pytest.raises(Exception, match="no such table") as caught, writing(engine) as connection:
        connection.exec_driver_sql("SELECT * FROM nonsense")
    assert not isinstance(caught.value, ProductError)


def test_refuses_a_file_that_is_no_database_and_leaves_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "database.sqlite"
    path.write_text("scan,score\n" * 200)
    with pytest.raises(DatabaseError, match=r"database\.sqlite: .*not a database") as caught:
        open_database(path)
    assert "\n" not in str(caught.value)
    assert path.read_text() == "scan,score\n" * 200


def test_refuses_a_path_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="unable to open"):
        open_database(tmp_path)


def test_refuses_a_workspace_inside_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="place that is writable"):
        open_database(tmp_path / "file" / "database.sqlite")


def test_refuses_a_folder_that_is_read_only() -> None:
    with read_only_folder() as folder, pytest.raises(DatabaseError, match="writable"):
        open_database(folder / "database.sqlite")


def test_a_database_that_is_read_only_can_be_read_and_says_so_when_written(tmp_path: Path) -> None:
    path = tmp_path / "database.sqlite"
    synchronise_scans(open_database(path), ["a"], [])
    engine = open_database(f"sqlite:///file:{path}?mode=ro&uri=true")
    with reading(engine) as connection:
        assert connection.scalar(select(scans.c.name)) == "a"
    with pytest.raises(DatabaseError, match="readonly"):
        synchronise_scans(engine, ["a", "b"], [])


def test_a_full_disk_is_named_and_costs_nothing_that_was_stored(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "database.sqlite")
    synchronise_scans(engine, ["a"], [])
    with reading(engine) as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DatabaseError, match="full"):
        synchronise_scans(engine, [f"scan_{i}" for i in range(5000)], [])
    with reading(engine) as connection:
        assert list(connection.execute(select(scans.c.name, scans.c.state))) == [("a", "unlabelled")]


def test_a_lock_that_is_never_released_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoring.database.engine.LOCK_SECONDS", 0.05)
    engine = open_database(tmp_path / "database.sqlite")
    with writing(engine), pytest.raises(DatabaseError, match=r"locked.*try again"):
        synchronise_scans(engine, ["a"], [])


def test_refuses_tables_of_a_later_version_and_leaves_them_alone(engine: Engine, database: str) -> None:
    with writing(engine) as connection:
        connection.execute(information.update().values(schema_version=99))
    with pytest.raises(DatabaseError, match=f"version 99, this program knows {SCHEMA_VERSION} and earlier"):
        open_database(database)


@pytest.mark.parametrize(
    ("url", "message"), [("nonsense://host/name", "unknown kind"), ("://", "no database URL"), ("sqlite+x://", "kind")]
)
def test_refuses_a_url_it_cannot_use(url: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_database(url)


@pytest.mark.parametrize("table", [table.name for table in metadata.sorted_tables])
def test_a_database_without_a_table_is_named_with_what_to_do(tmp_path: Path, table: str) -> None:
    path = tmp_path / "database.sqlite"
    open_database(path).dispose()
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA foreign_keys = OFF")
        file.execute(f"DROP TABLE {table}")
    with pytest.raises(
        DatabaseError, match=f"database.sqlite: is damaged, it lacks the table {table}; stop the server"
    ):
        open_database(path)


def test_a_database_without_a_column_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "database.sqlite"
    open_database(path).dispose()
    with sqlite3.connect(path) as file:
        file.execute("ALTER TABLE scores RENAME COLUMN mean TO average")
    with pytest.raises(
        DatabaseError, match=r"is damaged, it lacks scores\.mean; stop the server and move the database"
    ):
        open_database(path)


def test_a_table_that_is_lost_while_it_is_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / "database.sqlite"
    engine = open_database(path)
    with sqlite3.connect(path) as file:
        file.execute("DROP TABLE events")
    refused = pytest.raises(DatabaseError, match=r"\(no such table: .*events\); stop the server and move the database")
    with refused, writing(engine) as connection:
        record_event(connection, "served", time=0.0)
    engine.dispose()


@pytest.mark.parametrize(
    ("code", "room", "right"),
    [
        (sqlite3.SQLITE_IOERR, 0, "disk I/O error: the disk is full); free some space"),
        (sqlite3.SQLITE_IOERR, 1 << 30, "disk I/O error); the disk or one's share of it is full, or it fails"),
        (sqlite3.SQLITE_READONLY, 1 << 30, "this user may not write to it or to its folder: choose a workspace"),
    ],
)
def test_what_sqlite_says_of_the_disk_is_told_with_what_helps(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, code: int, room: int, right: str
) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=room))
    with pytest.raises(DatabaseError) as caught, writing(engine):
        raise error
    assert right in str(caught.value)
