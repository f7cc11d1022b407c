"""The options that commands share, as they were given; importing this costs nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lib.errors import InputError


@dataclass(frozen=True)
class CommandOptions:
    """What the options of a command say; None where one was not given.

    Attributes:
        studies: folder, or URL of a DICOMweb server.
        workspace: where models and scores are kept.
        task: task file, or name of a task that comes with the app.
        preset: takes the place of the task's.
        device: where networks run.
        lease_minutes: for how long a scan that was served is kept from others.
    """

    studies: str | None
    workspace: Path | None = None
    task: str | None = None
    preset: str | None = None
    device: str | None = None
    lease_minutes: float | None = None


@contextmanager
def naming_options(*arguments: str) -> Iterator[None]:
    """Name the option where a message names the argument that it set, as in "labelled: is -1, but ...".

    Raises:
        InputError: the same, of the option.
    """
    try:
        yield
    except InputError as error:
        if str(error).partition(":")[0] not in arguments:
            raise
        raise InputError(f"--{error}") from error
