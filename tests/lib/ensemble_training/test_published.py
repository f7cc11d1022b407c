"""Which generation need not be made again."""

import shutil
from dataclasses import replace

import pytest

from lib.ensemble_training.published import find_published
from lib.models.workspace import Workspace
from tests.tiny_training import Trained, tree


def test_a_generation_is_found_by_its_whole_key(copied: Trained) -> None:
    workspace, key = copied.workspace, copied.generation.key
    found = find_published(workspace, key)
    assert found is not None
    assert found == replace(copied.generation, path=found.path)
    # The folder's name holds the first digits of a key only.
    before = tree(workspace.root)
    assert find_published(workspace, key[:8] + "0" * 56) is None
    assert find_published(workspace, "e" * 64) is None
    assert find_published(Workspace(workspace.root / "nowhere"), key) is None
    assert tree(workspace.root) == before


def test_the_newest_of_several_is_found(copied: Trained) -> None:
    later = copied.generation.path.with_name(f"99990101T000000-{copied.generation.key[:8]}")
    shutil.copytree(copied.generation.path, later)
    found = find_published(copied.workspace, copied.generation.key)
    assert found is not None
    assert found.path == later


def test_a_damaged_one_is_removed_with_a_warning_and_the_whole_one_before_it_found(
    copied: Trained, caplog: pytest.LogCaptureFixture
) -> None:
    path = copied.generation.path
    later = path.with_name(f"99990101T000000-{copied.generation.key[:8]}")
    shutil.copytree(path, later)
    (later / "plan.json").unlink()
    found = find_published(copied.workspace, copied.generation.key)
    assert found is not None
    assert found.path == path
    assert not later.exists()
    assert "plan.json: is missing or differs from what was published; it is made again" in caplog.text
