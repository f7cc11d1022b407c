"""`viewer install`: OHIF's files for the browser."""

from pathlib import Path

from apps.calibrated_ensemble.ohif.files import PACKAGE, default_viewer_folder, find_viewer
from apps.calibrated_ensemble.ohif.installation import install_viewer
from apps.calibrated_ensemble.terminal.output import messages, print_json
from apps.calibrated_ensemble.terminal.progress import TerminalProgress


def run_viewer_install(folder: Path | None, *, tarball: Path | None, as_json: bool) -> None:
    """Install OHIF unless it is there already, and say where it is.

    Raises:
        InputError: see `install_viewer`.
        UnreachableError: npm could not fetch it.
    """
    folder = folder.expanduser().absolute() if folder else default_viewer_folder()
    viewer = find_viewer(folder)
    was_there = viewer is not None
    if viewer is None:
        with TerminalProgress(messages) as progress:
            viewer = install_viewer(folder, tarball=tarball, progress=progress)
    size = sum(viewer.path(name).stat().st_size for name in viewer.files)
    if as_json:
        print_json({"folder": str(folder), "package": PACKAGE, "bytes": size, "was_there": was_there})
        return
    done = "was installed already, nothing was done" if was_there else "is installed"
    messages.print(f"{folder}: {PACKAGE} {done} ({size / 1e6:.0f} MB)", highlight=False, soft_wrap=True)
