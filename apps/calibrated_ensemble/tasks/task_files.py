"""The task files that come with the app, and those of others."""

from pathlib import Path

from lib.errors import InputError
from lib.task.task import Task
from lib.task.task_file import read_task

FOLDER = Path(__file__).parent


def task_names() -> list[str]:
    """Names of the tasks that come with the app."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def task_by_name_or_path(text: str, preset: str | None = None) -> Task:
    """Read a task.

    Args:
        text: name of a task that comes with the app, or path of a task file.
        preset: takes the place of the file's preset when given.

    Raises:
        InputError: no such task, or a wrong setting in its file.
    """
    names = task_names()
    if text in names:
        return read_task(FOLDER / f"{text}.yaml", preset=preset)
    path = Path(text).expanduser()
    if not path.is_file():
        raise InputError(f"task {text!r}: is neither a task file nor one of {', '.join(names)}")
    return read_task(path, preset=preset)
