"""Listing generations, and serving another one by a person's decision."""

import shutil
from dataclasses import replace

import pytest

from lib.errors import DamagedGenerationError, InputError, NotTrainedError
from lib.models.generation import Generation, read_generation
from lib.models.workspace import Workspace
from lib.publication.held_back import HeldBackBy, hold_back, read_held_back
from lib.publication.listing import Standing, find_generation, list_generations, predecessor
from lib.publication.serving import roll_back, serve_generation
from tests.made_up_generations import add_generation
from tests.tiny_training import Trained


def standings(workspace: Workspace) -> dict[str, Standing]:
    return {one.id[:4]: one.standing for one in list_generations(workspace)}


@pytest.fixture
def row(copied: Trained) -> list[Generation]:
    """Three generations of 2001 to 2003 in one workspace; the last one is served."""
    made = [add_generation(copied, f"{year}0101T000000") for year in (2001, 2002, 2003)]
    shutil.rmtree(copied.generation.path)
    copied.workspace.make_current(made[-1])
    return made


def test_the_list_has_the_newest_first_and_says_how_each_stands(copied: Trained, row: list[Generation]) -> None:
    workspace = copied.workspace
    hold_back(row[1], HeldBackBy.GATE, ("worse",))
    (row[0].path / "plan.json").unlink()
    (workspace.generations / ".tmp-left").mkdir()
    listed = list_generations(workspace)
    assert [one.id for one in listed] == [generation.id for generation in reversed(row)]
    assert standings(workspace) == {"2003": "served", "2002": "held back", "2001": "damaged"}
    assert listed[1].reasons == ("worse",)
    assert "plan.json" in listed[2].reasons[0]


def test_a_generation_is_found_by_what_no_other_has(copied: Trained, row: list[Generation]) -> None:
    workspace = copied.workspace
    assert find_generation(workspace, row[1].id).id == row[1].id
    assert find_generation(workspace, "2002").id == row[1].id
    for name, problem in (("20", "several"), ("1999", "no such"), ("", "no such"), ("../members", "no such")):
        with pytest.raises(InputError, match=problem):
            find_generation(workspace, name)


def test_rolling_back_serves_the_predecessor_and_holds_back_what_was_left(
    copied: Trained, row: list[Generation]
) -> None:
    workspace = copied.workspace
    left, served = roll_back(workspace, "misses small lesions")
    assert (left.id, served.id) == (row[2].id, row[1].id)
    assert workspace.current() == row[1].id
    decision = read_held_back(row[2])
    assert decision is not None
    assert (decision.by, decision.reasons) == (HeldBackBy.ROLLBACK, ("misses small lesions",))
    roll_back(workspace, "again")
    assert workspace.current() == row[0].id
    with pytest.raises(InputError, match="no generation before"):
        roll_back(workspace, "once more")
    assert workspace.current() == row[0].id
    assert read_held_back(row[0]) is None


def test_a_predecessor_that_is_held_back_or_damaged_is_passed_over(copied: Trained, row: list[Generation]) -> None:
    hold_back(row[1], HeldBackBy.GATE, ("worse",))
    before = predecessor(copied.workspace)
    assert before is not None
    assert before.id == row[0].id


def test_a_damaged_predecessor_is_not_served(copied: Trained, row: list[Generation]) -> None:
    member = next((row[1].path / "members").iterdir())
    member.unlink()
    member.write_bytes(b"other weights")
    with pytest.raises(DamagedGenerationError):
        roll_back(copied.workspace, "no reason")
    assert copied.workspace.current() == row[2].id
    assert read_held_back(row[2]) is None


def test_publishing_releases_and_serves(copied: Trained, row: list[Generation]) -> None:
    hold_back(row[0], HeldBackBy.GATE, ("worse",))
    serve_generation(copied.workspace, row[0])
    assert copied.workspace.current() == row[0].id
    assert read_held_back(row[0]) is None


def test_a_baseline_is_never_served(copied: Trained) -> None:
    with pytest.raises(InputError, match="baseline"):
        serve_generation(copied.workspace, replace(copied.generation, method="seeds"))  # type: ignore[arg-type]


def test_without_a_generation_there_is_nothing_to_go_back_from(copied: Trained) -> None:
    with pytest.raises(NotTrainedError):
        roll_back(Workspace(copied.workspace.root / "empty"), "no reason")
    assert read_generation(copied.generation.path).id == copied.generation.id
