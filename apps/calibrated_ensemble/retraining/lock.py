"""One night at a time in a workspace."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from lib.models.workspace import Workspace
from lib.storage.atomic import write_text
from lib.storage.locks import exclusive_lock


@contextmanager
def only_retraining(workspace: Workspace) -> Iterator[None]:
    """Hold the right to retrain; it ends with the process, however that ends.

    Raises:
        BusyError: another process retrains here; the message says which, since when.
        StorageError: the workspace cannot be written to.
    """
    note = workspace.root / "retraining.json"
    busy = (
        f"{workspace.root}: is retrained already, {_holder(note)}; let it end, or end it, and the next trigger goes on"
    )
    with exclusive_lock(workspace.root / "retraining.lock", busy=busy):
        since = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        write_text(note, json.dumps({"host": socket.gethostname(), "process": os.getpid(), "since": since}))
        yield


def _holder(note: Path) -> str:
    # Whoever took the lock a moment ago has not written its note yet, or is just writing it.
    try:
        holder = json.loads(note.read_text(encoding="utf-8"))
        return f"by process {holder['process']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "since a moment ago"
