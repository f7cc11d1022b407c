"""The generations as a person at a terminal meets them."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apps.calibrated_ensemble.command_line import run
from lib.models.generation import read_generation
from lib.models.workspace import Workspace
from lib.publication.held_back import HeldBackBy, hold_back
from tests.lib.conftest import balls, trained
from tests.made_up_generations import add_generation
from tests.tiny_training import Trained

__all__ = ["balls", "trained"]

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def row(trained: Trained, tmp_path: Path) -> Trained:
    """Three generations, the last of which is served."""
    shutil.copytree(trained.workspace.root, tmp_path / "workspace")
    workspace = Workspace(tmp_path / "workspace")
    copied = replace(
        trained, workspace=workspace, generation=read_generation(workspace.generations / trained.generation.id)
    )
    made = [add_generation(copied, f"{year}0101T000000") for year in (2001, 2002, 2003)]
    shutil.rmtree(copied.generation.path)
    workspace.make_current(made[-1])
    return replace(copied, generation=made[-1])


@pytest.fixture
def ask(row: Trained, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run `generations` with `--json`; status and answer."""

    def run_it(*arguments: str) -> tuple[int, Any]:
        status = run(["generations", *arguments, "--workspace", str(row.workspace.root), "--json"])
        out, err = capsys.readouterr()
        return status, json.loads(out) if out else err

    return run_it


def test_a_morning_with_generations(row: Trained, ask: Ask) -> None:
    hold_back(read_generation(row.workspace.generations / ask("list")[1][1]["generation"]), HeldBackBy.GATE, ("worse",))
    status, listed = ask("list")
    assert status == 0
    assert [(one["generation"][:4], one["standing"], one["reasons"]) for one in listed] == [
        ("2003", "served", []),
        ("2002", "held back", ["worse"]),
        ("2001", "kept", []),
    ]
    shown = ask("show", "2003")[1]
    assert shown["generation"] == row.generation.id
    assert shown["damaged"] == []
    assert shown["dice"] == row.generation.metrics["dice"]
    difference = ask("diff", "2001", "2003")[1]
    assert difference["labels"] == {"added": [], "removed": [], "changed": []}
    assert difference["settings"] == {}
    assert difference["gate"] == []
    status, rolled = ask("rollback")
    assert status == 0
    assert rolled["served"].startswith("2001")
    assert ask("publish", "2002")[1]["served"].startswith("2002")
    status, pruned = ask("prune", "--keep", "1")
    assert status == 0
    assert pruned["removed"] == []
    assert [one["standing"] for one in ask("list")[1]] == ["held back", "served", "kept"]


def test_what_is_wrong_is_one_line_and_changes_nothing(row: Trained, ask: Ask) -> None:
    for arguments, problem in (
        (("show", "1999"), "no such generation"),
        (("publish", "20"), "several"),
        (("diff", "2001", "x"), "no such generation"),
    ):
        status, message = ask(*arguments)
        assert status == 2
        assert problem in message
        assert message.count("\n") == 1
    assert row.workspace.current() == row.generation.id


def test_people_read_tables_and_lines(row: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--workspace", str(row.workspace.root)]
    for arguments, expected in (
        (["list"], row.generation.id),
        (["show", "2003"], "standing: served"),
        (["diff", "2001", "2003"], "labels added: 0"),
        (["rollback", "--reason", "misses lesions"], "is served"),
        (["prune", "--dry-run"], "would be removed"),
    ):
        assert run(["generations", *arguments, *where]) == 0
        out, err = capsys.readouterr()
        assert expected in out + err
