"""The studies of a project: a folder, or a PACS for a URL."""

from dataclasses import dataclass

from monailabel.config import settings as server_settings

from apps.calibrated_ensemble.datastores.indexed_scans import IndexedScans
from apps.calibrated_ensemble.datastores.label_submission import LabelSubmission
from apps.calibrated_ensemble.datastores.pacs_scans import PacsScans
from apps.calibrated_ensemble.datastores.pacs_studies import PacsStudies
from apps.calibrated_ensemble.datastores.studies_folder import StudiesFolder
from apps.calibrated_ensemble.project import Project
from apps.calibrated_ensemble.settings import is_url, pacs_filter
from lib.datasets.scan_source import ScanSource


@dataclass(frozen=True)
class OpenStudies:
    """Studies as a server needs them.

    Attributes:
        datastore: for MONAI Label's own endpoints.
        scans: for everything else.
        submission: reviews labels, and keeps those that are refused.
        dicomweb_url: root of the DICOMweb services from which a viewer can show the scans; None without any.
    """

    datastore: StudiesFolder | PacsStudies
    scans: ScanSource
    submission: LabelSubmission
    dicomweb_url: str | None


def open_studies(project: Project, *, is_server: bool = False) -> OpenStudies:
    """Open the studies, for a server, for a process that works for one, or for a command.

    Args:
        project: whose studies.
        is_server: watch the folder, and let labels of a PACS that could not be read be tried again: until
            that is done their scans count as labelled, for all processes.

    Raises:
        InputError: the filter of the PACS is wrong.
        StorageError: a folder cannot be written to.
    """
    submission = LabelSubmission(
        project.task,
        project.engine,
        refused_folder=project.refused_labels,
        versions_folder=project.label_versions,
    )
    if is_url(project.studies):
        pacs = PacsStudies(
            project.studies.rstrip("/"),
            pacs_filter(server_settings),
            folder=project.workspace.root / "pacs",
            task=project.task,
            submission=submission,
            refresh_seconds=project.settings.pacs_refresh_seconds,
            retry_unreadable=is_server,
        )
        scans = PacsScans(pacs, project.task, store_heatmaps=project.settings.store_heatmaps)
        return OpenStudies(pacs, scans, submission, pacs.name())
    folder = StudiesFolder(
        project.studies,
        submission=submission,
        region=project.task.region,
        auto_reload=server_settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD and is_server,
        read_only=server_settings.MONAI_LABEL_DATASTORE_READ_ONLY,
    )
    return OpenStudies(folder, IndexedScans(folder, project.task), submission, None)
