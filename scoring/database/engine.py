"""The database of scans, scores, leases and events, shared by server, training and scoring processes."""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
)

from lib.errors import DatabaseError, InputError
from lib.storage.disk import make_folder
from scoring.database.tables import SCHEMA_VERSION, events, information, metadata
from scoring.database.upgrades import upgrade_tables

LOCK_SECONDS = 30.0
"""How long a process waits for another one's write before it gives up."""

_SQLITE_READ_ONLY_CODES = {sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}

# SQLite's log grows by pages and its index by 32 KiB.
_NO_ROOM = 1 << 16

_MAKE_AGAIN = "stop the server and move the database away: scores are made again"

_WRITES = "calibrated_ensemble_writes"
# Extended result codes keep the primary code in their low byte.
_SQLITE_ENVIRONMENT_CODES = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
}


def open_database(url_or_path: str | Path) -> Engine:
    """Open the database; create it on first use, and bring one of an earlier version up to date.

    Several processes may do so at once. A SQLite file is put into write-ahead mode,
    in which readers and the one writer do not block each other; that needs a local disk: give a
    server's URL for a workspace on a network share.

    Args:
        url_or_path: path of a SQLite file, or any SQLAlchemy URL (`postgresql+psycopg://...`).

    Raises:
        InputError: no such driver, or no URL of a database.
        StorageError: the folder of the file cannot be made.
        DatabaseError: the database cannot be reached or written to, is none, or was written by a later version.
    """
    url = _url(url_or_path)
    try:
        engine = create_engine(url, **_options(url))
    except NoSuchModuleError as error:
        raise InputError(f"{_shown(url)}: unknown kind of database; give one that SQLAlchemy knows") from error
    except ModuleNotFoundError as error:
        raise InputError(f"{_shown(url)}: its driver is missing; pip install {error.name}") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        _use_write_ahead_log(engine)
    try:
        _check_schema(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection that sees one consistent state.

    Raises:
        DatabaseError: the database cannot be read.
    """
    with _explained(engine.url), engine.begin() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a connection whose changes are committed together when the block ends well.

    Writers take turns: the lock is taken at the start, so what the block reads stays true until
    it commits.

    Raises:
        DatabaseError: the database cannot be written to, the disk is full, or another process
            held the lock for longer than `LOCK_SECONDS`.
    """
    with _explained(engine.url), engine.execution_options(**{_WRITES: True}).begin() as connection:
        # SQLite has one lock, taken by BEGIN IMMEDIATE; on a server this row stands for it.
        if engine.dialect.name != "sqlite":
            connection.execute(select(information.c.id).with_for_update())
        yield connection


def record_event(
    connection: Connection,
    kind: str,
    *,
    time: float,
    scan: str | None = None,
    client: str | None = None,
    detail: str | None = None,
) -> None:
    """Add a line to the log of what happened to whom.

    Args:
        connection: from `writing`.
        kind: "served", "submitted", "released", "refused", "scored" or "failed".
        time: seconds since 1970.
        scan: name of the scan.
        client: who asked, "" when anonymous.
        detail: one line for a person.
    """
    connection.execute(
        events.insert().values(time=time, kind=kind, scan=scan, client=client or None, detail=detail or None)
    )


def _url(url_or_path: str | Path) -> URL:
    if isinstance(url_or_path, str) and "://" in url_or_path:
        try:
            return make_url(url_or_path)
        except ArgumentError as error:
            raise InputError(
                f"database: {url_or_path!r} is no database URL; give a path or a URL such as sqlite:////data/queue.sqlite"
            ) from error
    path = Path(url_or_path)
    make_folder(path.parent)
    return URL.create("sqlite", database=str(path))


def _options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": LOCK_SECONDS}}
    return {"pool_pre_ping": True}


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own transaction control begins too late; `_begin_sqlite` does it.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    # A power cut may cost the last commits, never the file: all but the log can be made again from the labels.
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _use_write_ahead_log(engine: Engine) -> None:
    # SQLite answers "locked" at once, without waiting, when two processes switch a new file together.
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            with _explained(engine.url):
                connection = engine.raw_connection()
                try:
                    connection.cursor().execute("PRAGMA journal_mode = WAL")
                finally:
                    connection.close()
            return
        except DatabaseError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _check_schema(engine: Engine) -> None:
    def exists() -> bool:
        with reading(engine) as connection:
            return inspect(connection).has_table(information.name)

    if not exists():
        _check_tables(engine, may_be_none=True)
        try:
            with _explained(engine.url), engine.execution_options(**{_WRITES: True}).begin() as connection:
                metadata.create_all(connection)
                if connection.scalar(select(information.c.id)) is None:
                    connection.execute(information.insert().values(id=1, schema_version=SCHEMA_VERSION, seed=0))
        except (IntegrityError, ProgrammingError) as error:
            # On a server (not on SQLite) another process may have made the tables at the same moment.
            if not exists():
                raise _no_right(engine, "made", error) from error
    with reading(engine) as connection:
        found = _schema_version(connection)
    if found < SCHEMA_VERSION:
        try:
            with writing(engine) as connection:
                # Another process may have done it while this one waited for its turn.
                found = upgrade_tables(connection, _schema_version(connection))
                connection.execute(information.update().values(schema_version=found))
        except ProgrammingError as error:
            raise _no_right(engine, "brought up to date", error) from error
    if found == SCHEMA_VERSION:
        _check_tables(engine)
    if found != SCHEMA_VERSION:
        raise DatabaseError(
            f"{_shown(engine.url)}: has tables of version {found}, this program knows {SCHEMA_VERSION} and earlier "
            f"ones; use the program that wrote it, or {_MAKE_AGAIN}"
        )


def _check_tables(engine: Engine, *, may_be_none: bool = False) -> None:
    """Check that every table is there with its columns, or none of them where that may be."""
    with reading(engine) as connection:
        inspector = inspect(connection)
        there = set(inspector.get_table_names()) & set(metadata.tables)
        if may_be_none and not there:
            return
        for table in metadata.sorted_tables:
            columns = {column["name"] for column in inspector.get_columns(table.name)} if table.name in there else set()
            missing = [column.name for column in table.columns if column.name not in columns]
            if missing:
                what = f"the table {table.name}" if not columns else f"{table.name}.{missing[0]}"
                raise DatabaseError(f"{_shown(engine.url)}: is damaged, it lacks {what}; {_MAKE_AGAIN}")


def _no_right(engine: Engine, wanted: str, error: DBAPIError) -> DatabaseError:
    reason = " ".join(str(error.orig).split())
    return DatabaseError(f"{_shown(engine.url)}: the tables cannot be {wanted} ({reason}); give this user the right to")


def _schema_version(connection: Connection) -> int:
    return int(connection.execute(select(information.c.schema_version)).scalar_one())


@contextmanager
def _explained(url: URL) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        original = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(original, sqlite3.Error):
            code = getattr(original, "sqlite_errorcode", 0) & 0xFF
            lacks = str(original).removeprefix("no such table: ").removeprefix("main.") in metadata.tables
            surroundings = code in _SQLITE_ENVIRONMENT_CODES or lacks
        else:
            surroundings = isinstance(error, OperationalError)
        if not surroundings:
            raise
        reason = " ".join(str(original).split())
        right = "it must be a database of this program, on a disk that is writable and not full"
        if "locked" in reason:
            right = f"another program held it for {LOCK_SECONDS:g} s: try again, or end that one"
        elif isinstance(original, sqlite3.Error) and lacks:
            right = _MAKE_AGAIN
        elif isinstance(original, sqlite3.Error) and code in _SQLITE_READ_ONLY_CODES:
            right = "this user may not write to it or to its folder: choose a workspace that is writable"
        elif isinstance(original, sqlite3.Error) and _has_no_room(url):
            reason, right = f"{reason}: the disk is full", "free some space"
        elif isinstance(original, sqlite3.Error) and code == sqlite3.SQLITE_IOERR:
            right = "the disk or one's share of it is full, or it fails: free some space, or look into the system's log"
        elif not isinstance(original, sqlite3.Error):
            right = "check that the server runs and that address, user and password are right"
        raise DatabaseError(f"{_shown(url)}: the database cannot be used ({reason}); {right}") from error


def _has_no_room(url: URL) -> bool:
    """Whether the disk of a SQLite file is full, which SQLite often calls an error of input and output."""
    try:
        return shutil.disk_usage(Path(url.database or ".").parent).free < _NO_ROOM
    except OSError:
        return False


def _shown(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return url.database or "sqlite"
    return url.render_as_string(hide_password=True)
