from pathlib import Path

from sqlalchemy import select

from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from lib.datasets.scan_source import ScanNames
from lib.datasets.studies_folder import FolderScans
from scoring.database.engine import reading
from scoring.database.scan_list import mark_labelled
from scoring.database.tables import scans as scans_table
from tests.apps.made_up_project import ONE_CLASS, open_project


class CountedScans(FolderScans):
    """Scans that count their changes, and how often they are listed."""

    def __init__(self, folder: Path):
        super().__init__(folder, ONE_CLASS)
        self.changes = 0
        self.listed = 0

    @property
    def revision(self) -> int | None:
        return self.changes

    def names(self) -> ScanNames:
        self.listed += 1
        return super().names()


def test_a_source_that_counts_its_changes_is_listed_after_one_only(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").touch()
    scans = CountedScans(tmp_path)
    with open_project(tmp_path) as project:
        register = ScanRegister(scans, project.engine)
        for _ in range(3):
            register.synchronise()
        assert scans.listed == 1
        (tmp_path / "b.nii.gz").touch()
        scans.changes += 1
        register.synchronise()
        assert scans.listed == 2
        register.synchronise(always=True)
        assert scans.listed == 3
        with reading(project.engine) as connection:
            assert set(connection.scalars(select(scans_table.c.name))) == {"a", "b"}


def test_a_label_that_the_database_knows_is_not_written_again(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").touch()
    with open_project(tmp_path) as project:
        register = ScanRegister(FolderScans(tmp_path, ONE_CLASS), project.engine)
        register.synchronise()
        (tmp_path / "labels" / "final").mkdir(parents=True)
        (tmp_path / "labels" / "final" / "a.nii.gz").touch()
        mark_labelled(project.engine, "a", now=1.0)
        register.note_labelled("a")
        register.synchronise()
        with reading(project.engine) as connection:
            assert connection.scalar(select(scans_table.c.labelled_at)) == 1.0
