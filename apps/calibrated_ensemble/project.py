"""What every door works on: a task, a workspace, its database, and where networks run."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Engine

from apps.calibrated_ensemble.settings import AppSettings, open_workspace
from apps.calibrated_ensemble.tasks.task_files import task_by_name_or_path
from lib.models.workspace import Workspace
from lib.task.task import Task
from scoring.database.engine import open_database


@dataclass(frozen=True)
class Project:
    """One task on one set of studies, opened once a process and closed with it; a context manager.

    Attributes:
        studies: folder, or URL of a DICOMweb server.
        settings: the app's.
        task: what is segmented.
        workspace: where generations, members and refused labels are.
        database: path or URL of the database of scans, scores and leases.
    """

    studies: str
    settings: AppSettings
    task: Task
    workspace: Workspace
    database: str | Path

    @classmethod
    def open(cls, settings: AppSettings, studies: str, *, task: Task | None = None) -> Self:
        """Open the workspace, whose folder is made when it is missing; the database is opened when it is first asked.

        Args:
            settings: the app's.
            studies: folder, or URL of a DICOMweb server.
            task: takes the place of the one that the settings name.

        Raises:
            InputError: no such task, or a wrong setting in its file.
            StorageError: the workspace cannot be made.
        """
        task = task or task_by_name_or_path(settings.task, preset=settings.preset)
        workspace = open_workspace(settings, studies)
        database = settings.database_url or workspace.database_path
        return cls(studies=studies, settings=settings, task=task, workspace=workspace, database=database)

    @cached_property
    def engine(self) -> Engine:
        """Database of scans, scores and leases.

        Raises:
            InputError: no URL of a database.
            DatabaseError: the database cannot be used.
        """
        return open_database(self.database)

    @property
    def device(self) -> str:
        """Where networks run, see `lib.networks.devices.choose_device`."""
        return self.settings.device

    @property
    def lease_seconds(self) -> float:
        """For how long a scan that was served is kept from other annotators."""
        return 60 * self.settings.lease_minutes

    @property
    def refused_labels(self) -> Path:
        """Folder of labels that could not be stored."""
        return self.workspace.root / "refused_labels"

    @property
    def label_versions(self) -> Path:
        """Folder of labels that another one has replaced, or that were submitted before another one was known."""
        return self.workspace.root / "label_versions"

    def close(self) -> None:
        """Close the connections to the database."""
        if "engine" in vars(self):
            self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
