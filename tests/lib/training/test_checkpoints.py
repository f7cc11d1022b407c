import os
import pickle
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lib.errors import InputError, StorageError
from lib.storage.digest import digest_chain
from lib.training.checkpoints import CheckpointStore
from tests.tiny_training import full_disk, tree

DAY = 24 * 3600.0
KEY, OTHER = "a" * 64, "b" * 64


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


def a_network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv3d(1, 40, 3), nn.Conv3d(40, 2, 3)).to(memory_format=torch.channels_last_3d)


def equal(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def test_kept_weights_come_back(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "members")
    assert not store.has(KEY)
    store.save(KEY, a_network(1))
    assert store.has(KEY)
    assert not store.has(OTHER)
    network = a_network(2)
    store.load(KEY, network)
    assert equal(network, a_network(1))


def test_equal_weights_give_equal_files(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    for key in (KEY, OTHER):
        store.save(key, a_network(1))
    assert store.path(KEY).read_bytes() == store.path(OTHER).read_bytes()


def test_a_full_disk_leaves_no_checkpoint_and_says_so(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    with full_disk(), pytest.raises(StorageError, match=r"could not be written \(File too large\); free some space"):
        store.save(KEY, a_network())
    assert not store.has(KEY)
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("keep", [0, 1, 200, -1])
def test_a_damaged_file_is_named(tmp_path: Path, keep: int) -> None:
    store = CheckpointStore(tmp_path)
    store.save(KEY, a_network())
    path = store.path(KEY)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=rf"{path.name}: is damaged"):
        store.load(KEY, a_network())


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    store.save(KEY, nn.Conv3d(1, 2, 3))
    with pytest.raises(InputError, match="is damaged"):
        store.load(KEY, a_network())


def test_a_pickle_in_place_of_weights_does_not_run(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    for write in (torch.save, lambda bomb, path: path.write_bytes(pickle.dumps(bomb, protocol=2))):
        write(Bomb(tmp_path / "ran"), store.path(KEY))
        with pytest.raises(InputError, match="is damaged"):
            store.load(KEY, a_network())
        assert not (tmp_path / "ran").exists()
    with store.path(KEY).open("rb") as file:
        pickle.load(file)
    assert (tmp_path / "ran").exists()


def test_what_nothing_loaded_for_thirty_days_is_removed(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    past = time.time() - 31 * 24 * 3600
    for key in (KEY, OTHER):
        store.save(key, a_network())
        os.utime(store.path(key), (past, past))
    store.load(KEY, a_network())
    looked_at(tmp_path, time.time() - DAY)
    store.remove_unused()
    assert store.has(KEY)
    assert not store.has(OTHER)


def looked_at(folder: Path, moment: float) -> None:
    """As the training of that moment left it."""
    (folder / "unused_removed_at").touch()
    os.utime(folder / "unused_removed_at", (moment, moment))


def test_a_clock_that_jumped_throws_nothing_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, start = CheckpointStore(tmp_path), time.time()
    for key in (KEY, OTHER):
        store.save(key, a_network())
    days = [1, 2, 400, 401, 3, 4, -5000, 5, 6, *range(7, 34)]
    for day in days:
        monkeypatch.setattr(time, "time", lambda day=day: start + day * DAY)
        store.mark_used([store.path(KEY)])
        store.remove_unused()
        assert store.has(KEY)
        assert store.has(OTHER), f"lost on day {day}"
    for day in range(34, 40):
        monkeypatch.setattr(time, "time", lambda day=day: start + day * DAY)
        store.mark_used([store.path(KEY)])
        store.remove_unused()
    assert store.has(KEY)
    assert not store.has(OTHER)  # thirty days after the clock was right again


def test_after_a_long_pause_everything_is_kept_for_another_thirty_days(tmp_path: Path) -> None:
    store, past = CheckpointStore(tmp_path), time.time() - 60 * DAY
    store.save(KEY, a_network())
    looked_at(tmp_path, past)
    os.utime(store.path(KEY), (past, past))
    store.remove_unused()
    store.remove_unused()
    assert store.has(KEY)


def test_a_checkpoint_is_forgotten_by_any_name_of_its_file(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "members")
    for key in (KEY, OTHER):
        store.save(key, a_network())
    os.link(store.path(KEY), tmp_path / "linked.pt")
    store.forget(tmp_path / "missing.pt")
    store.forget(tmp_path / "linked.pt")
    assert not store.has(KEY)
    assert store.has(OTHER)


_PARTS = st.lists(st.integers(0, 2), max_size=5)


@given(_PARTS, _PARTS)
def test_a_key_depends_on_all_parts_up_to_its_own(first: list[int], second: list[int]) -> None:
    for number, (one, other) in enumerate(zip(digest_chain("base", first), digest_chain("base", second), strict=False)):
        assert (one == other) is (first[: number + 1] == second[: number + 1])
    assert not set(digest_chain("base", first)) & set(digest_chain("other", first))
    assert len(set(digest_chain("base", first))) == len(first)


def test_a_checkpoint_that_is_marked_as_used_stays(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    for key in (KEY, OTHER):
        store.save(key, a_network())
        os.utime(store.path(key), (0, 0))
    (tmp_path / "unused_removed_at").touch()
    store.mark_used([store.path(KEY)])
    store.remove_unused()
    assert store.has(KEY)
    assert not store.has(OTHER)
