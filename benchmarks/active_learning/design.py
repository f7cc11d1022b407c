"""How a simulation goes, and that a folder holds the rounds of one design only."""

import json
from dataclasses import dataclass
from pathlib import Path

from benchmarks.active_learning.choice import Strategy
from benchmarks.experiments.held_out_split import Split
from lib.errors import InputError
from lib.storage.atomic import write_text
from lib.task.task import Task


@dataclass(frozen=True)
class Design:
    """How the simulation goes.

    Attributes:
        task: settings of the training; its seed is that of the first repetition, the next has the next.
        start: labelled scans at the start.
        add: scans that are labelled after each round.
        rounds: how often.
        seeds: repetitions, each with a start and a training seed of its own.
        strategies: those compared.
    """

    task: Task
    start: int
    add: int
    rounds: int
    seeds: int
    strategies: tuple[Strategy, ...]

    @property
    def label_counts(self) -> list[int]:
        """Labelled scans of each model, that of the start first."""
        return [self.start + self.add * number for number in range(self.rounds + 1)]


def check_design(design: Design, split: Split) -> None:
    """Check that there are scans enough, and that their task can be simulated.

    Raises:
        InputError: a number below 1, more labels than scans, or a task with a region mask.
    """
    if design.task.region is not None:
        raise InputError(f"task {design.task.name}: has the region mask {design.task.region}; give a task without one")
    for name in ("start", "add", "rounds", "seeds"):
        if getattr(design, name) < 1:
            raise InputError(f"--{name} is {getattr(design, name)}; give a number from 1")
    most = design.label_counts[-1]
    if most > len(split.pool):
        raise InputError(
            f"--start {design.start} --add {design.add} --rounds {design.rounds}: label {most} scans, but "
            f"{len(split.pool)} may be labelled; give smaller numbers"
        )


def keep_design(path: Path, design: Design, split: Split) -> None:
    """Write what all rounds of a folder have in common; seeds and strategies may be added to it later.

    Args:
        path: JSON file.
        design: how the simulation goes.
        split: its scans.

    Raises:
        InputError: the file holds another design or cannot be read or written.
    """
    settings = {
        "task": design.task.model_dump(mode="json"),
        "start": design.start,
        "add": design.add,
        "rounds": design.rounds,
        "test": [scan.name for scan in split.test],
        "pool": [scan.name for scan in split.pool],
    }
    if not path.exists():
        write_text(path, json.dumps(settings, indent=1) + "\n")
        return
    try:
        standing = json.loads(path.read_text(encoding="utf-8"))
        different = [key for key, value in settings.items() if standing[key] != value]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read as a design ({error}); choose another output folder") from error
    if different:
        raise InputError(f"{path}: its rounds have another `{different[0]}`; choose another output folder")
