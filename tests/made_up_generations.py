"""Generations of other times, made of one that was trained."""

import json
import os
from pathlib import Path

from lib.models.generation import Generation, read_generation
from tests.tiny_training import Trained


def add_generation(trained: Trained, time: str) -> Generation:
    """Publish a copy of a trained generation again in its workspace, its members linked as publishing links them.

    Args:
        trained: may be written into.
        time: of publication, such as "20260101T000000".
    """
    source = trained.generation.path
    target = trained.workspace.generations / f"{time}-{source.name.split('-')[1]}"
    for file in source.rglob("*"):
        if file.is_file():
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, copy) if file.suffix == ".pt" else copy.write_bytes(file.read_bytes())
    rename_in_manifest(target)
    return read_generation(target)


def rename_in_manifest(folder: Path) -> None:
    """Give a generation the id of its folder."""
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"id": folder.name}))
