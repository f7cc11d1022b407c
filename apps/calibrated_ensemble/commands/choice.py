"""Which studies, task and workspace a command works on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from apps.calibrated_ensemble.settings import AppSettings, is_url, open_workspace, read_app_settings, workspace_folder
from apps.calibrated_ensemble.tasks.task_files import task_by_name_or_path
from lib.errors import InputError
from lib.models.generation import Generation
from lib.models.workspace import Workspace
from lib.task.task import Task
from scoring.database.engine import open_database


@dataclass(frozen=True)
class Choice:
    """What the options of a command and the environment say.

    Attributes:
        studies: folder, or URL of a DICOMweb server; None when the command was given none.
        settings: the app's settings.
        task: the task of the options, None when they name none.
        preset: the preset of the options, None when they name none.
    """

    studies: str | None
    settings: AppSettings
    task: str | None
    preset: str | None

    def studies_folder(self) -> Path:
        """Give the studies folder.

        Raises:
            InputError: the studies are on a server.
        """
        if self.studies is None or is_url(self.studies):
            raise InputError(
                f"--studies {self.studies}: is no folder; for scans on a DICOMweb server run `serve`, "
                "and ask the server to train: POST /train/ensemble"
            )
        return Path(self.studies)

    def task_settings(self) -> Task:
        """Give the settings of the chosen task.

        Raises:
            InputError: no such task, or a wrong setting.
        """
        return task_by_name_or_path(self.settings.task, preset=self.settings.preset)

    def new_workspace(self) -> Workspace:
        """Give the workspace, whose folder is made when missing.

        Raises:
            InputError: neither studies nor workspace were given, or the folder cannot be made.
        """
        return open_workspace(self.settings, self._studies_of_workspace())

    def generation(self) -> Generation:
        """Give the current generation.

        Raises:
            NotTrainedError: there is none.
            InputError: neither studies nor workspace were given, or it is of another task or preset.
            DamagedGenerationError: its files are incomplete.
        """
        generation = self.existing_workspace().generation()
        trained = generation.task
        if self.task is not None:
            wanted = task_by_name_or_path(self.task)
            if (wanted.name, wanted.labels) != (trained.name, trained.labels):
                raise InputError(
                    f"--task {self.task}: the model of {generation.path.parents[1]} is of the task {trained.name} "
                    f"with {', '.join(trained.classes)}; give its workspace, or train for this task"
                )
        if self.preset not in (None, trained.preset):
            raise InputError(
                f"--preset {self.preset}: the model of {generation.path.parents[1]} has the preset {trained.preset}; "
                "leave the option out, or train with this preset"
            )
        return generation

    def existing_workspace(self) -> Workspace:
        """Give the workspace without making its folder.

        Raises:
            InputError: neither studies nor workspace were given.
        """
        return Workspace(workspace_folder(self.settings, self._studies_of_workspace()))

    def database(self) -> Engine:
        """Open the database of scores.

        Raises:
            InputError: it cannot be opened.
        """
        return open_database(self.settings.database_url or self.existing_workspace().database_path)

    def _studies_of_workspace(self) -> str:
        if self.studies is None and self.settings.workspace is None:
            raise InputError("--workspace: is missing; give the workspace of a model, or --studies whose model it is")
        return self.studies or ""


def choose(
    studies: str | None,
    *,
    workspace: Path | None = None,
    task: str | None = None,
    preset: str | None = None,
    device: str | None = None,
    lease_minutes: float | None = None,
) -> Choice:
    """Put options before the environment and that before defaults.

    Raises:
        InputError: a wrong value in either.
    """
    options: dict[str, Any] = {
        "workspace": workspace,
        "task": task,
        "preset": preset,
        "device": device,
        "lease_minutes": lease_minutes,
    }
    settings = read_app_settings({key: value for key, value in options.items() if value is not None})
    return Choice(studies=studies, settings=settings, task=task, preset=preset)
