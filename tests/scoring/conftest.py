import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from scoring.database.engine import open_database
from scoring.database.tables import metadata

SERVER = os.environ.get("CALIBRATED_ENSEMBLE_TEST_DATABASE")
"""URL of a database of its own on a server; what it holds is deleted. The default is SQLite."""


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Where an empty database can be opened."""
    if SERVER is None:
        return str(tmp_path / "workspace" / "database.sqlite")
    emptied = create_engine(SERVER)
    metadata.drop_all(emptied)
    emptied.dispose()
    return SERVER


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = open_database(database)
    yield engine
    engine.dispose()
