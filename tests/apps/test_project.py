from pathlib import Path

import pytest

from apps.calibrated_ensemble.project import Project
from apps.calibrated_ensemble.settings import read_app_settings
from lib.errors import DatabaseError, InputError, StorageError
from scoring.database.scan_list import synchronise_scans
from tests.apps.made_up_project import ONE_CLASS, open_project


def test_it_opens_the_task_the_workspace_and_the_database_of_the_settings(tmp_path: Path) -> None:
    settings = read_app_settings({"task": "glioma", "preset": "small", "device": "cpu", "lease_minutes": "1.5"})
    with Project.open(settings, str(tmp_path)) as project:
        assert (project.task.name, project.task.preset) == ("glioma", "small")
        assert project.workspace.root == tmp_path / ".calibrated_ensemble"
        assert not project.workspace.database_path.exists(), "it is opened when it is first asked"
        assert (project.device, project.lease_seconds) == ("cpu", 90.0)
        assert project.refused_labels.parent == project.workspace.root
        synchronise_scans(project.engine, ["a"], [])
        assert project.workspace.database_path.is_file()


def test_the_task_of_a_model_takes_the_place_of_that_of_the_settings(tmp_path: Path) -> None:
    settings = read_app_settings({"task": "glioma"})
    with Project.open(settings, str(tmp_path), task=ONE_CLASS) as project:
        assert project.task == ONE_CLASS


def test_a_database_of_its_own_is_used(tmp_path: Path) -> None:
    with open_project(tmp_path, database_url=f"sqlite:///{tmp_path}/elsewhere.sqlite") as project:
        synchronise_scans(project.engine, ["a"], [])
        assert (tmp_path / "elsewhere.sqlite").is_file()
        assert not project.workspace.database_path.exists()


def test_what_cannot_be_opened_is_told_by_whose_fault_it_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="task 'liver'"):
        Project.open(read_app_settings({"task": "liver"}), str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be made"):
        open_project(tmp_path / "file")
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "database.sqlite").write_text("no database at all, but a text of some length" * 99)
    with open_project(tmp_path) as project, pytest.raises(DatabaseError, match="not a database"):
        _ = project.engine
