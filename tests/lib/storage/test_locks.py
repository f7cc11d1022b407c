import multiprocessing
from pathlib import Path
from threading import Thread

import pytest

from lib.errors import BusyError, StorageError
from lib.storage.locks import exclusive_lock, waiting_lock


def test_a_lock_that_is_held_is_refused_at_once_and_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "new" / "training.lock"
    refused = pytest.raises(BusyError, match="another one runs; wait")
    with (
        exclusive_lock(path, busy="another one runs; wait"),
        refused,
        exclusive_lock(path, busy="another one runs; wait"),
    ):
        pass
    with exclusive_lock(path, busy=""):
        pass


def hold(path: Path, held: "multiprocessing.synchronize.Event") -> None:
    with exclusive_lock(path, busy=""):
        held.set()
        held.wait()
        multiprocessing.get_context().Event().wait()


def test_a_lock_ends_with_the_process_that_holds_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=hold, args=(tmp_path / "lock", held))
    process.start()
    assert held.wait(timeout=120)
    with pytest.raises(BusyError), exclusive_lock(tmp_path / "lock", busy="held"):
        pass
    process.kill()
    process.join()
    with exclusive_lock(tmp_path / "lock", busy="held"):
        pass


def test_a_lock_ends_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError), exclusive_lock(tmp_path / "lock", busy=""):
        raise FloatingPointError("diverged")
    with exclusive_lock(tmp_path / "lock", busy=""):
        pass


def test_who_waits_comes_second(tmp_path: Path) -> None:
    order = []

    def second() -> None:
        with waiting_lock(tmp_path / "lock"):
            order.append("second")

    thread = Thread(target=second)
    with waiting_lock(tmp_path / "lock"):
        thread.start()
        thread.join(timeout=0.3)
        order.append("first")
    thread.join(timeout=30)
    assert order == ["first", "second"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for lock in (waiting_lock(tmp_path / "file" / "lock"), exclusive_lock(tmp_path / "file" / "lock", busy="")):
        with pytest.raises(StorageError, match=r"file: cannot be written \(.*\); choose a workspace"), lock:
            pass
