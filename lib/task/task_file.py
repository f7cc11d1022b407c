"""Reading a task file, with messages that say what would be right."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from lib.errors import InputError
from lib.task.class_names import class_names_fault
from lib.task.presets import NetworkSettings, TrainingSettings
from lib.task.task import RIGHT_VALUES, Task


def read_task(path: Path | str, *, preset: str | None = None) -> Task:
    """Read a task file.

    Args:
        path: YAML file.
        preset: takes the place of the file's preset when given.

    Raises:
        InputError: the file is missing, not YAML, or holds a wrong key or value; the message
            names file, key and value and says what would be right.
    """
    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give the path of a task file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: holds no settings; a task file is a list of `key: value`, see the tasks of the app")
    return task_from(data | ({"preset": preset} if preset else {}), where=str(path))


def task_from(data: dict[str, Any], *, where: str) -> Task:
    """Build a task from settings; `where` names their source in errors.

    Raises:
        InputError: a key or value is wrong.
    """
    try:
        task = Task.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{where}: {_explain(error, data)}") from error
    # Not by the model itself: generations that are stored with such names can still be read.
    fault = class_names_fault(task.classes)
    if fault is not None:
        raise InputError(f"{where}: `labels`: {fault}")
    return task


def _explain(error: ValidationError, data: dict[str, Any]) -> str:
    first = error.errors()[0]
    parts, given = [str(part) for part in first["loc"]], first["input"]
    if any("[" in part for part in parts):
        # Inside a union pydantic names its alternatives, which are no keys of the file.
        parts = parts[:1]
        given = data.get(parts[0])
    key = ".".join(parts)
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        return f"`{key}` is {given!r}: {message}" if key else message
    if first["type"] == "extra_forbidden":
        known = Task.model_fields
        if len(parts) == 2 and parts[0] in ("network", "training"):
            known = (NetworkSettings if parts[0] == "network" else TrainingSettings).model_fields
        return f"unknown key `{key}`; known are {', '.join(sorted(known))}"
    if parts[0] in RIGHT_VALUES:
        right = f"give {RIGHT_VALUES[parts[0]]}"
    elif len(parts) == 1:
        right = "give settings, such as network: {init_filters: 8} or training: {iterations: 1000}"
    else:
        right = first["msg"].replace("Input should", "it should")
    if first["type"] == "missing" and given is not data.get(key):
        return f"key `{key}` is missing; {right}"
    return f"`{key}` is {given!r}; {right}"
