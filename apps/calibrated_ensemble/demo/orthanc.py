"""A PACS on this machine: Orthanc with its DICOMweb plugin, as Debian and Ubuntu package them."""

import json
import logging
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from lib.errors import InputError, UnreachableError
from lib.storage.atomic import write_text

logger = logging.getLogger(__name__)

PACKAGES = ("orthanc", "orthanc-dicomweb")
"""What Debian and Ubuntu call it."""

_PROGRAM_FOLDERS = ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin")
_PLUGIN_PLACES = (
    "usr/share/orthanc/plugins",
    "usr/lib*/orthanc",
    "usr/lib/*/orthanc",
    "usr/local/share/orthanc/plugins",
    "usr/local/lib*/orthanc",
)
_PLUGIN = "libOrthancDicomWeb.so"
_CONFIGURATION = "orthanc.json"
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


@dataclass(frozen=True)
class OrthancFiles:
    """What of an installation is needed to start it.

    Attributes:
        program: Orthanc itself.
        plugin: its DICOMweb plugin.
        setpriv: the tool of util-linux that ends Orthanc when the process that started it ends.
    """

    program: Path
    plugin: Path
    setpriv: Path


def find_orthanc(root: Path = Path("/")) -> OrthancFiles:
    """Find an installed Orthanc, wherever the distribution put it.

    Args:
        root: where to look for the plugin.

    Raises:
        InputError: something is missing; the message says how to get it.
    """
    # /usr/sbin is not on the path of everybody.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_PROGRAM_FOLDERS])
    program, setpriv = shutil.which("Orthanc", path=path), shutil.which("setpriv", path=path)
    plugins = [file for place in _PLUGIN_PLACES for file in sorted(root.glob(f"{place}/{_PLUGIN}*"))]
    missing = {"Orthanc": program, f"its plugin {_PLUGIN}": plugins, "setpriv": setpriv}
    if program is None or setpriv is None or not plugins:
        raise InputError(
            f"Orthanc: {' and '.join(name for name, found in missing.items() if not found)} cannot be found; "
            f"install it (Debian, Ubuntu: apt-get install {' '.join(PACKAGES)}), "
            "or give the URL of a DICOMweb server, such as PACS=http://127.0.0.1:8042/dicom-web"
        )
    return OrthancFiles(Path(program), plugins[0], Path(setpriv))


def install_commands() -> list[list[str]] | None:
    """Give the commands that install Orthanc; None when there is no apt-get, or this user may not use it."""
    apt = shutil.which("apt-get")
    if apt is None:
        return None
    commands = [[apt, "update"], [apt, "install", "--yes", "--no-install-recommends", *PACKAGES]]
    if os.geteuid() == 0:
        return commands
    sudo = shutil.which("sudo")
    # Without a terminal to ask at (-n), sudo tells whether it would need a password.
    if sudo is None or subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode:
        return None
    return [[sudo, "-n", *command] for command in commands]


def running_orthanc(folder: Path) -> str | None:
    """DICOMweb URL of the Orthanc that runs with this folder; None when none does."""
    port = _remembered_port(folder)
    return _dicomweb_url(port) if port is not None and _answers(port, folder) else None


@contextmanager
def local_orthanc(folder: Path, files: OrthancFiles) -> Iterator[str]:
    """Run Orthanc for the length of the block, or use the one that runs with this folder already.

    It answers requests of this machine only and asks for no password. It ends with the block, and
    also when this process ends in any other way or becomes another program that ends.

    Args:
        folder: of its database and log; its port is remembered here.
        files: from `find_orthanc`.

    Yields:
        Its DICOMweb URL.

    Raises:
        InputError: it does not start.
        StorageError: the folder cannot be written to.
    """
    running = running_orthanc(folder)
    if running is not None:
        yield running
        return
    port = _free_port(_remembered_port(folder))
    write_text(folder / _CONFIGURATION, json.dumps(_configuration(folder, port, files.plugin), indent=1))
    process = _start(folder, files)
    try:
        _wait_until_it_answers(process, port, folder)
        yield _dicomweb_url(port)
    finally:
        _stop(process)


def _configuration(folder: Path, port: int, plugin: Path) -> dict[str, Any]:
    storage = str(folder.absolute() / "storage")
    return {
        "Name": _name(folder),
        "StorageDirectory": storage,
        "IndexDirectory": storage,
        "Plugins": [str(plugin)],
        "HttpPort": port,
        # It listens on every address, and refuses all requests but those of this machine.
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
    }


def _name(folder: Path) -> str:
    return f"calibrated-ensemble {folder.absolute()}"


def _dicomweb_url(port: int) -> str:
    return f"http://127.0.0.1:{port}/dicom-web"


def _remembered_port(folder: Path) -> int | None:
    file = folder / _CONFIGURATION
    if not file.is_file():
        return None
    try:
        return int(json.loads(file.read_text(encoding="utf-8"))["HttpPort"])
    except (ValueError, TypeError, KeyError):
        logger.warning("%s: is damaged; it is written again with another port", file)
        return None


def _free_port(wanted: int | None) -> int:
    """The wanted port when it is free, else any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", wanted or 0))
        except OSError:
            probe.bind(("", 0))
        return int(probe.getsockname()[1])


def _start(folder: Path, files: OrthancFiles) -> subprocess.Popen[bytes]:
    # A process group of its own keeps Ctrl-C from it, so that it outlives the server that uses it.
    command = [str(files.setpriv), "--pdeathsig", "INT", str(files.program), str(folder / _CONFIGURATION)]
    with (folder / "orthanc.log").open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, process_group=0
        )


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    log = folder / "orthanc.log"
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(port, folder):
        if process.poll() is not None:
            errors = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("E")]
            reason = errors[-1].partition("] ")[2] if errors else f"exit status {process.returncode}"
            raise InputError(f"{folder}: Orthanc ended at its start ({reason}); {log} tells more")
        if time.monotonic() > deadline:
            raise UnreachableError(f"{folder}: Orthanc does not answer after {_START_SECONDS:.0f} s; {log} tells more")
        time.sleep(0.1)


def _answers(port: int, folder: Path) -> bool:
    """Whether the Orthanc of this folder, and no other program, answers at a port."""
    with requests.Session() as session:
        session.trust_env = False  # a proxy knows nothing of this machine's ports
        try:
            answer = session.get(f"http://127.0.0.1:{port}/system", timeout=10)
            return answer.ok and answer.json().get("Name") == _name(folder)
        except (requests.RequestException, AttributeError):
            return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            logger.warning("Orthanc (process %d) does not end and is killed", process.pid)
            process.kill()
            process.wait()
