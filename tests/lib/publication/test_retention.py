"""Removing what nobody needs."""

import os
import shutil
import time
from pathlib import Path

import pytest

from lib.errors import BusyError
from lib.models.ensemble import Ensemble
from lib.models.generation import Generation
from lib.models.workspace import Workspace
from lib.publication.held_back import HeldBackBy, hold_back
from lib.publication.listing import list_generations
from lib.publication.retention import prune
from tests.made_up_generations import add_generation
from tests.tiny_training import Trained, tree

YEARS = (2001, 2002, 2003, 2004, 2005)


@pytest.fixture
def row(copied: Trained) -> list[Generation]:
    """Five generations; that of 2003 is served, and the others share its members."""
    made = [add_generation(copied, f"{year}0101T000000") for year in YEARS]
    shutil.rmtree(copied.generation.path)
    copied.workspace.make_current(made[2])
    return made


def years(workspace: Workspace) -> set[int]:
    return {int(one.id[:4]) for one in list_generations(workspace)}


def age(folder: Path, days: float) -> None:
    for file in folder.rglob("*"):
        os.utime(file, (time.time() - 86400 * days,) * 2)


def test_the_newest_the_current_and_its_predecessor_stay(copied: Trained, row: list[Generation]) -> None:
    done = prune(copied.workspace, keep=1)
    assert years(copied.workspace) == {2005, 2003, 2002}
    assert set(done.removed) == {row[0].id, row[3].id}


def test_a_predecessor_is_one_that_may_be_served(copied: Trained, row: list[Generation]) -> None:
    hold_back(row[1], HeldBackBy.GATE, ("worse",))
    prune(copied.workspace, keep=1)
    assert years(copied.workspace) == {2005, 2003, 2001}


@pytest.mark.usefixtures("row")
def test_the_young_stay(copied: Trained) -> None:
    prune(copied.workspace, keep=1, days=1e5)
    assert years(copied.workspace) == set(YEARS)


@pytest.mark.usefixtures("row")
def test_a_dry_run_says_the_same_and_changes_nothing(copied: Trained) -> None:
    age(copied.workspace.members, 3)
    before = tree(copied.workspace.root)
    would = prune(copied.workspace, keep=1, dry_run=True)
    after = tree(copied.workspace.root)
    after.pop("training.lock", None)
    before.pop("training.lock", None)
    assert after == before
    assert prune(copied.workspace, keep=1) == would


def test_what_is_being_read_stays_and_is_named(copied: Trained, row: list[Generation]) -> None:
    with row[0].reading():
        assert prune(copied.workspace, keep=1).read == (row[0].id,)
    assert 2001 in years(copied.workspace)
    prune(copied.workspace, keep=1)
    assert 2001 not in years(copied.workspace)


def test_what_kept_generations_hold_frees_nothing_and_what_they_do_not_hold_is_counted(
    copied: Trained, row: list[Generation]
) -> None:
    workspace = copied.workspace
    files = [file for one in (row[0], row[3]) for file in one.path.rglob("*") if file.is_file()]
    shared = sum(file.stat().st_size for file in files if file.suffix != ".pt")
    for file in workspace.out_of_fold.glob("*"):
        file.unlink()
    orphans = [workspace.members / f"{number:040}.pt" for number in range(2)]
    for file in orphans:
        file.write_bytes(b"x" * 1000)
    age(workspace.members, 3)
    stages = [file for file in workspace.members.glob("*.pt") if file.stat().st_nlink == 1]
    young = workspace.members / f"{9:040}.pt"
    young.write_bytes(b"y")
    size = sum(file.stat().st_size for file in stages)
    done = prune(workspace, keep=1)
    assert done.bytes == shared + size
    assert done.files == len(stages) >= 2
    assert young.exists()
    assert not any(file.exists() for file in orphans)
    Ensemble(row[2], device="cpu")


@pytest.mark.usefixtures("row")
def test_nothing_is_pruned_under_a_training(copied: Trained) -> None:
    with copied.workspace.training_lock(), pytest.raises(BusyError):
        prune(copied.workspace, keep=1)
    assert years(copied.workspace) == set(YEARS)
