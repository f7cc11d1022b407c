"""What takes long to make, made by one of the workers of a test run and used by all of them."""

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from filelock import FileLock

Made = TypeVar("Made")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]) -> Made:
    """Give what `make` makes in a folder; whoever comes first makes it, and no test may write into the folder.

    Args:
        factory: of the test run.
        name: of the folder.
        make: fills the folder that it is given, and gives something that can be pickled.
    """
    base = factory.getbasetemp()
    # The folders of all workers lie in one of the run; without workers, that would be the folder of all runs.
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, made = shared / name, shared / f"{name}.pickle"
    with FileLock(shared / f"{name}.lock"):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            made.write_bytes(pickle.dumps(make(folder)))
    found: Made = pickle.loads(made.read_bytes())
    return found
