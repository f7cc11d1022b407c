"""One night at a time."""

import multiprocessing
import os
from pathlib import Path

import pytest

from apps.calibrated_ensemble.retraining.lock import only_retraining
from lib.errors import BusyError
from lib.models.workspace import Workspace


def hold_and_die(root: str) -> None:
    with only_retraining(Workspace(root)):
        os._exit(9)


def test_a_second_night_is_told_who_holds_the_lock_since_when(tmp_path: Path) -> None:
    with (
        only_retraining(Workspace(tmp_path)),
        pytest.raises(BusyError, match=rf"process {os.getpid()} on .* since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC"),
        only_retraining(Workspace(tmp_path)),
    ):
        pytest.fail("two nights at once")


def test_a_dead_process_keeps_no_lock(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=hold_and_die, args=(str(tmp_path),))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    with only_retraining(Workspace(tmp_path)):
        pass


@pytest.mark.parametrize("note", [b"", b"\xff", b"[1]", b"{}"])
def test_an_unreadable_note_refuses_all_the_same(tmp_path: Path, note: bytes) -> None:
    with only_retraining(Workspace(tmp_path)):
        (tmp_path / "retraining.json").write_bytes(note)
        with pytest.raises(BusyError, match="since a moment ago"), only_retraining(Workspace(tmp_path)):
            pass
