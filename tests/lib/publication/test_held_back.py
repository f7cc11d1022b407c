"""Decisions not to serve a generation."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lib.errors import DamagedGenerationError
from lib.models.generation import Generation
from lib.publication.held_back import HeldBackBy, hold_back, read_held_back, release
from tests.tiny_training import Trained


@pytest.fixture
def generation(trained: Trained, tmp_path: Path) -> Generation:
    shutil.copytree(trained.generation.path, tmp_path / "generation")
    return replace(trained.generation, path=tmp_path / "generation")


def test_a_decision_stands_until_it_is_released_and_the_generation_stays_whole(generation: Generation) -> None:
    assert read_held_back(generation) is None
    decision = hold_back(generation, HeldBackBy.GATE, ("the DSC fell", "a class is lost"))
    assert read_held_back(generation) == decision
    generation.verify()
    release(generation)
    release(generation)
    assert read_held_back(generation) is None


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]", b'{"by": "somebody", "reasons": [], "time": ""}'])
def test_a_damaged_decision_is_named(generation: Generation, content: bytes) -> None:
    (generation.path / "held_back.json").write_bytes(content)
    with pytest.raises(DamagedGenerationError, match=r"held_back\.json: cannot be read"):
        read_held_back(generation)
