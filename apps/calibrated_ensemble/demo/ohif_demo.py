"""`demo-ohif`: a PACS with made-up scans, a trained ensemble, and the viewer on them, in one command."""

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monailabel.config import settings as server_settings

from apps.calibrated_ensemble.commands.context import CommandContext
from apps.calibrated_ensemble.commands.options import CommandOptions
from apps.calibrated_ensemble.commands.serve import exec_server, require_free_port, server_url
from apps.calibrated_ensemble.commands.train import training_figures
from apps.calibrated_ensemble.commands.viewer import run_viewer_install
from apps.calibrated_ensemble.datastores.open_studies import open_studies
from apps.calibrated_ensemble.demo.orthanc import OrthancFiles, find_orthanc, install_commands, local_orthanc
from apps.calibrated_ensemble.demo.pacs_material import store_folder, store_phantoms
from apps.calibrated_ensemble.jobs.train import train
from apps.calibrated_ensemble.ohif.files import find_viewer
from apps.calibrated_ensemble.pacs.client import PacsClient
from apps.calibrated_ensemble.project import Project
from apps.calibrated_ensemble.settings import is_url, pacs_filter
from apps.calibrated_ensemble.terminal.output import messages, percent, print_json, show_warnings
from apps.calibrated_ensemble.terminal.progress import TerminalProgress
from lib.errors import InputError


def run_demo_ohif(
    folder: Path, *, pacs: str | None, device: str | None, address: tuple[str, int] | None, as_json: bool
) -> None:
    """Fill a PACS, train, score and serve; what an earlier run finished is not done again.

    Args:
        folder: where the PACS, the model and the scores are kept.
        pacs: URL of a DICOMweb server for tests; None for an Orthanc of the demo's own.
        device: see `lib.networks.devices.choose_device`.
        address: host and port of the server that is started at the end; None for none.
        as_json: print the figures as JSON.

    Raises:
        InputError: see the single steps.
        UnreachableError: the PACS does not answer.
    """
    show_warnings()
    if address:
        require_free_port(*address)
    with _pacs(folder, pacs) as url:
        context = CommandContext.of_options(
            CommandOptions(url, workspace=folder / "workspace", task="phantom", preset="demo", device=device)
        )
        if address and find_viewer(context.settings.viewer_folder) is None:
            run_viewer_install(context.settings.viewer_folder, tarball=None, as_json=False)
        with Project.open(context.settings, url) as project:
            figures = _train_and_score(project)
        viewer = f"{server_url(*address)}/viewer/" if address else None
        if as_json:
            print_json({**figures, "pacs": url, "viewer": viewer})
        else:
            _show(figures)
        if address:
            messages.print(f"Open {viewer} in a browser. Ctrl-C stops everything.", highlight=False, soft_wrap=True)
            exec_server(context, host=address[0], port=address[1])


def run_demo_ohif_add(dicom: Path, folder: Path, *, pacs: str | None, as_json: bool) -> None:
    """Store a folder of DICOM files in the demo's PACS, whether the demo runs or not.

    Args:
        dicom: the folder.
        folder: of the demo.
        pacs: as for `run_demo_ohif`.
        as_json: print the figures as JSON.

    Raises:
        InputError: see `store_folder`.
        UnreachableError: the PACS does not answer.
    """
    with _pacs(folder, pacs) as url, TerminalProgress(messages) as progress:
        stored = store_folder(PacsClient(url, pacs_filter(server_settings)), dicom, progress=progress)
    if as_json:
        left_out = [str(path) for path in stored.left_out]
        print_json({"pacs": url, "series": stored.series, "instances": stored.instances, "left_out": left_out})
        return
    others = f"; {len(stored.left_out)} other files were left out" if stored.left_out else ""
    messages.print(f"{url}: has {stored.series} more series, {stored.instances} instances{others}", highlight=False)


@contextmanager
def _pacs(folder: Path, given: str | None) -> Iterator[str]:
    if given is None:
        with local_orthanc(folder / "orthanc", _orthanc_files()) as url:
            yield url
        return
    if not is_url(given):
        raise InputError(f"--pacs {given}: is no URL; give one such as http://127.0.0.1:8042/dicom-web")
    yield given.rstrip("/")


def _orthanc_files() -> OrthancFiles:
    """Find Orthanc, and install it first where that is possible without asking."""
    try:
        return find_orthanc()
    except InputError:
        commands = install_commands()
        if commands is None:
            raise
    for command in commands:
        messages.print(f"Orthanc is missing: {shlex.join(command)}", highlight=False, soft_wrap=True)
        # The standard output is for results.
        status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=messages.file, check=False).returncode
        if status != 0:
            raise InputError(
                f"{shlex.join(command)}: ended with status {status}; install Orthanc yourself, "
                "or give the URL of a DICOMweb server, such as PACS=http://127.0.0.1:8042/dicom-web"
            )
    return find_orthanc()


def _train_and_score(project: Project) -> dict[str, Any]:
    opened = open_studies(project)
    with TerminalProgress(messages) as progress:
        pacs = PacsClient(project.studies, pacs_filter(server_settings))
        store_phantoms(pacs, opened.datastore, project.task, progress=progress)
        trained = train(project, opened.scans, progress=progress)
    assert trained.scoring is not None  # a calibrated ensemble with all offsets scores
    failed = [{"scan": scan, "error": error} for scan, error in trained.scoring.failed]
    figures = training_figures(trained)
    return {
        "training": figures,
        "scored": trained.scoring.scored,
        "failed": failed,
        "datastore": opened.datastore.status(),
    }


def _show(figures: dict[str, Any]) -> None:
    training, datastore = figures["training"], figures["datastore"]
    dice = ", ".join(f"{name} {percent(value)} %" for name, value in training["dice"].items())
    messages.print(
        f"{datastore['completed']} of {datastore['total']} scans are labelled. Cross-validated DSC: {dice}",
        highlight=False,
        soft_wrap=True,
    )
    for failure in figures["failed"]:
        messages.print(f"{failure['scan']}: could not be scored: {failure['error']}", highlight=False, soft_wrap=True)
