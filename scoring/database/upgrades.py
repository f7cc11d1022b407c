"""Bringing the tables of an earlier version of the program up to date.

Each step is written out as it was when its version came, so that later changes of `tables.py` leave it alone.
All steps run in the caller's transaction: whole or not at all, on SQLite as on PostgreSQL.
"""

from collections.abc import Callable

from sqlalchemy import Connection

_Step = Callable[[Connection], None]


def upgrade_tables(connection: Connection, version: int) -> int:
    """Take tables from their version to the present one.

    Args:
        connection: from `writing`, so that no other process writes meanwhile.
        version: that the tables have.

    Returns:
        The version that they have now.

    Raises:
        KeyError: a version without a step, which is later than the present one.
    """
    while version < 1 + len(_STEPS):
        _STEPS[version](connection)
        version += 1
    return version


def _store_priorities(connection: Connection) -> None:
    """Version 2: the order of the queue moves out of `scans.position`, `scores.mean` and `scores.waiting`."""
    sqlite = connection.dialect.name == "sqlite"
    double, scans = ("DOUBLE", "scans_2") if sqlite else ("DOUBLE PRECISION", "scans")
    if sqlite:
        _run(
            connection,
            """CREATE TABLE scans_2 (
                id INTEGER NOT NULL,
                name VARCHAR(255) NOT NULL,
                state VARCHAR(10) NOT NULL,
                labelled_at DOUBLE,
                PRIMARY KEY (id),
                UNIQUE (name)
            )""",
            "INSERT INTO scans_2 SELECT id, name, state, labelled_at FROM scans",
        )
    _run(
        connection,
        f"""CREATE TABLE priorities (
            scan_id INTEGER NOT NULL,
            strategy VARCHAR(32) NOT NULL,
            generation VARCHAR(255) NOT NULL,
            priority {double} NOT NULL,
            waiting BOOLEAN NOT NULL,
            PRIMARY KEY (scan_id, strategy, generation),
            FOREIGN KEY(scan_id) REFERENCES {scans} (id) ON DELETE CASCADE
        )""",
        # A position has 63 bits.
        f"""INSERT INTO priorities (scan_id, strategy, generation, priority, waiting)
            SELECT id, 'random', '', CAST(position AS {double}) / 9223372036854775808.0, state = 'unlabelled'
            FROM scans""",
        """INSERT INTO priorities (scan_id, strategy, generation, priority, waiting)
            SELECT scan_id, 'least_certain', generation, mean, waiting FROM scores WHERE mean IS NOT NULL""",
    )
    if sqlite:
        _leave_out_columns_on_sqlite(connection)
    else:
        # Their indexes go with them.
        _run(connection, "ALTER TABLE scans DROP COLUMN position", "ALTER TABLE scores DROP COLUMN waiting")
    _run(
        connection,
        "CREATE INDEX scans_by_state ON scans (state)",
        "CREATE INDEX scores_by_generation ON scores (generation)",
        "CREATE INDEX priorities_in_order ON priorities (strategy, generation, waiting, priority, scan_id)",
    )


def _leave_out_columns_on_sqlite(connection: Connection) -> None:
    """Put `scans_2` and copies of what refers to it into the places of the old tables.

    SQLite drops columns since 3.35 (RHEL 9 has 3.34), and deletes the rows that refer to a table when
    it drops that table: so they are copied and dropped first.
    """
    _run(
        connection,
        """CREATE TABLE scores_2 (
            scan_id INTEGER NOT NULL,
            generation VARCHAR(255) NOT NULL,
            mean DOUBLE,
            classes JSON,
            error TEXT,
            seconds DOUBLE NOT NULL,
            time DOUBLE NOT NULL,
            PRIMARY KEY (scan_id, generation),
            FOREIGN KEY(scan_id) REFERENCES scans_2 (id) ON DELETE CASCADE
        )""",
        """CREATE TABLE leases_2 (
            scan_id INTEGER NOT NULL,
            client VARCHAR(255) NOT NULL,
            served DOUBLE NOT NULL,
            expires DOUBLE NOT NULL,
            PRIMARY KEY (scan_id),
            FOREIGN KEY(scan_id) REFERENCES scans_2 (id) ON DELETE CASCADE
        )""",
        "INSERT INTO scores_2 SELECT scan_id, generation, mean, classes, error, seconds, time FROM scores",
        "INSERT INTO leases_2 SELECT scan_id, client, served, expires FROM leases",
        *(f"DROP TABLE {table}" for table in ("leases", "scores", "scans")),
        # References to a table are renamed with it.
        *(f"ALTER TABLE {table}_2 RENAME TO {table}" for table in ("scans", "scores", "leases")),
        "CREATE INDEX leases_by_client ON leases (client, served)",
    )


def _know_contents(connection: Connection) -> None:
    """Version 3: scores are of contents; those of earlier versions, which do not say of which, are made again."""
    _run(
        connection,
        "ALTER TABLE scores ADD COLUMN stamp TEXT",
        "ALTER TABLE scores ADD COLUMN content VARCHAR(64)",
    )


def _run(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


_STEPS: dict[int, _Step] = {1: _store_priorities, 2: _know_contents}
"""What leads from each version to the next."""
