"""The generations of a workspace, and how each of them stands."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lib.errors import DamagedGenerationError, InputError
from lib.models.generation import Generation, read_generation
from lib.models.workspace import Workspace
from lib.publication.held_back import read_held_back


class Standing(StrEnum):
    """How a generation stands."""

    SERVED = "served"
    HELD_BACK = "held back"
    BASELINE = "baseline"
    KEPT = "kept"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class ListedGeneration:
    """One generation.

    Attributes:
        id: name of its folder.
        standing: how it stands.
        reasons: why it is held back or damaged, one line each.
        generation: its settings; None where they cannot be read.
    """

    id: str
    standing: Standing
    reasons: tuple[str, ...]
    generation: Generation | None


def list_generations(workspace: Workspace) -> list[ListedGeneration]:
    """Give all generations, the newest first."""
    current = workspace.current()
    return [_listed(folder, current) for folder in generation_folders(workspace)]


def generation_folders(workspace: Workspace) -> list[Path]:
    """Folders of all generations, the newest first."""
    return sorted((path for path in workspace.generations.glob("[0-9]*T[0-9]*-*") if path.is_dir()), reverse=True)


def find_generation(workspace: Workspace, name: str) -> Generation:
    """Give a generation by its name, or by a beginning or an end of it that no other has.

    Raises:
        InputError: there is none, or more than one.
        DamagedGenerationError: its settings cannot be read.
    """
    folders = generation_folders(workspace)
    found = [folder for folder in folders if name == folder.name] or [
        folder for folder in folders if name and (folder.name.startswith(name) or folder.name.endswith(name))
    ]
    if len(found) != 1:
        known = ", ".join(folder.name for folder in (found or folders)) or "none"
        problem = "is the name of several generations" if found else "no such generation"
        raise InputError(f"{name}: {problem}; {'they are' if found else 'there are'}: {known}")
    return read_generation(found[0])


def predecessor(workspace: Workspace) -> Generation | None:
    """Give the newest generation before the current one that may be served; None where there is none."""
    current = workspace.current()
    for folder in generation_folders(workspace):
        if current is None or folder.name >= current:
            continue
        listed = _listed(folder, current)
        if listed.standing is Standing.KEPT:
            return listed.generation
    return None


def _listed(folder: Path, current: str | None) -> ListedGeneration:
    try:
        generation = read_generation(folder)
        decision = read_held_back(generation)
    except DamagedGenerationError as error:
        return ListedGeneration(folder.name, Standing.DAMAGED, (str(error),), None)
    if folder.name == current:
        standing = Standing.SERVED
    elif generation.kind.is_baseline:
        standing = Standing.BASELINE
    else:
        standing = Standing.KEPT if decision is None else Standing.HELD_BACK
    return ListedGeneration(folder.name, standing, decision.reasons if decision else (), generation)
