"""A project in a folder of a test."""

from pathlib import Path

from apps.calibrated_ensemble.project import Project
from apps.calibrated_ensemble.settings import read_app_settings
from lib.task.task import Task
from lib.task.task_file import task_from

ONE_CLASS = task_from({"name": "one", "modality": "CT", "labels": {"lesion": 1}}, where="test")


def open_project(folder: Path, task: Task = ONE_CLASS, *, studies: str = "", **settings: str) -> Project:
    """Open a project with its workspace in `folder/workspace`, on the CPU; to be closed, or a context manager."""
    chosen = {"workspace": str(folder / "workspace"), "device": "cpu", **settings}
    return Project.open(read_app_settings(chosen), studies or str(folder / "studies"), task=task)
