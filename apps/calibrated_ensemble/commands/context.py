"""Which studies, task and workspace a command works on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from apps.calibrated_ensemble.commands.options import CommandOptions
from apps.calibrated_ensemble.project import Project
from apps.calibrated_ensemble.settings import AppSettings, is_url, open_workspace, read_app_settings, workspace_folder
from apps.calibrated_ensemble.tasks.task_files import task_by_name_or_path
from lib.datasets.scan_source import ScanSource
from lib.datasets.studies_folder import FolderScans
from lib.errors import InputError
from lib.images.files import SUFFIXES
from lib.models.generation import Generation
from lib.models.workspace import Workspace
from lib.task.task import Task


@dataclass(frozen=True)
class CommandContext:
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

    @classmethod
    def of_options(cls, options: CommandOptions) -> Self:
        """Put options before the environment and that before defaults.

        Raises:
            InputError: a wrong value in either.
        """
        given = {key: value for key, value in asdict(options).items() if key != "studies" and value is not None}
        return cls(options.studies, read_app_settings(given), options.task, options.preset)

    @property
    def is_on_pacs(self) -> bool:
        """Whether the studies are a DICOMweb server's."""
        return self.studies is not None and is_url(self.studies)

    @contextmanager
    def opened(self, task: Task) -> Iterator[tuple[Project, ScanSource]]:
        """Open the project and the scans of its studies, of which there must be one.

        Args:
            task: of the options, or of the model.

        Raises:
            InputError: no such folder, one without scans, or a PACS that refuses.
            StorageError: the workspace cannot be made, or its database cannot be used.
            UnreachableError: the PACS does not answer.
        """
        studies = self._studies_of_workspace()
        # A folder is looked at first: nothing is made in one that is not there or empty.
        folder = None if self.is_on_pacs else _scans_of_folder(Path(studies), task)
        with Project.open(self.settings, studies, task=task) as project:
            yield project, folder or _scans_of_pacs(project)

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

    def _studies_of_workspace(self) -> str:
        if self.studies is None and self.settings.workspace is None:
            raise InputError("--workspace: is missing; give the workspace of a model, or --studies whose model it is")
        return self.studies or ""


def _scans_of_folder(folder: Path, task: Task) -> ScanSource:
    scans = FolderScans(folder, task)
    if not scans.names().all:
        raise InputError(
            f"{folder}: holds no scans; put {', '.join(SUFFIXES)} files into it, "
            "or run `calibrated-ensemble prepare` first"
        )
    return scans


def _scans_of_pacs(project: Project) -> ScanSource:
    # MONAI Label takes seconds to load.
    from apps.calibrated_ensemble.datastores.open_studies import open_studies

    scans = open_studies(project).scans
    if not scans.names().all:
        raise InputError(f"{project.studies}: holds no scans that match the filter; store series in the PACS first")
    return scans
