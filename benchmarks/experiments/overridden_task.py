"""A task with some settings that an experiment asks for."""

from lib.task.task import Task
from lib.task.task_file import task_from


def override_task(task: Task, *, iterations: int | None = None, heatmap: str | None = None) -> Task:
    """Give the task with another schedule or heatmap.

    Args:
        task: its settings.
        iterations: optimiser steps of a member; the task's when None.
        heatmap: a name of `lib.calibration.registry`; the task's when None.

    Raises:
        InputError: a value that a task does not take.
    """
    settings = task.model_dump(mode="json")
    if iterations is not None:
        settings["training"]["iterations"] = iterations
    if heatmap is not None:
        if not task.calibrator.needs_all_offsets:
            # The task's own heatmap needed one loss weight only; others need the usual seven.
            del settings["offsets"]
        settings["heatmap"] = heatmap
    return task_from(settings, where=f"task {task.name} with other settings")
