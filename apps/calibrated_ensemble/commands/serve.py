"""`serve`: the MONAI Label server with this app and settings that are safe."""

import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

from apps.calibrated_ensemble.commands.context import CommandContext
from apps.calibrated_ensemble.commands.options import CommandOptions
from apps.calibrated_ensemble.settings import is_url
from apps.calibrated_ensemble.terminal.output import messages, print_json
from lib.errors import InputError
from lib.storage.disk import check_writable

APP_FOLDER = Path(__file__).resolve().parents[1]


def run_serve(options: CommandOptions, *, host: str, port: int, as_json: bool) -> NoReturn:
    """Say what to open, and become the server.

    Raises:
        InputError: a wrong task, studies that are not there, or a port that is taken.
        StorageError: the folder of the studies or the workspace cannot be written to.
    """
    context = CommandContext.of_options(options)
    task = context.task_settings()
    if not context.is_on_pacs and not Path(context.studies or "").is_dir():
        raise InputError(f"{context.studies}: no such folder; give a studies folder, or the URL of a DICOMweb server")
    if not context.is_on_pacs:
        check_writable(Path(context.studies or ""))  # labels are kept there, and the server's list of scans
    require_free_port(host, port)
    workspace = context.new_workspace()
    url = server_url(host, port)
    if as_json:
        print_json({"url": url, "studies": context.studies, "workspace": str(workspace.root), "task": task.name})
    else:
        messages.print(what_to_open(url, viewer=context.is_on_pacs), highlight=False, soft_wrap=True)
    exec_server(context, host=host, port=port)


def what_to_open(url: str, *, viewer: bool = False) -> str:
    """Line that says what to do with a server, and with the viewer for the browser where it works."""
    annotate = f"Open {url}/viewer/ in a browser to annotate, " if viewer else f"Open {url} in a browser for the API, "
    return f"{annotate}or give {url} to the MONAI Label module of 3D Slicer. Ctrl-C stops the server."


def server_url(host: str, port: int) -> str:
    """Address of a server as seen from its own machine."""
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def require_free_port(host: str, port: int) -> None:
    """Check that the server can listen, which it would find out late and tell at length.

    Raises:
        InputError: the port is taken, or the address is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise InputError(
            f"--host {host} --port {port}: cannot be listened on ({error.strerror}); give another port"
        ) from error


def exec_server(context: CommandContext, *, host: str, port: int) -> NoReturn:
    """Replace this process by MONAI Label's server, so that signals reach it."""
    environment = serve_environment(os.environ)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, server_command(context, host=host, port=port), environment)


def server_command(context: CommandContext, *, host: str, port: int) -> list[str]:
    """Command that starts the server."""
    studies = context.studies or ""
    if not is_url(studies):
        studies = str(Path(studies).absolute())
    settings = context.settings.model_dump(mode="json", exclude_unset=True)
    if context.settings.workspace is not None:
        settings["workspace"] = str(context.settings.workspace.expanduser().absolute())
    if Path(context.settings.task).is_file():
        settings["task"] = str(Path(context.settings.task).absolute())
    if not _is_address(host):
        settings["allowed_hosts"] = ",".join(filter(None, [context.settings.allowed_hosts, host]))
    # A URL may hold a password, which a command line shows to everybody; the environment has it already.
    settings.pop("database_url", None)
    conf = [part for key, value in settings.items() for part in ("--conf", key, str(value))]
    module = [sys.executable, "-m", "monailabel.main", "start_server"]
    return [*module, "--app", str(APP_FOLDER), "--studies", studies, "--host", host, "--port", str(port), *conf]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def serve_environment(environment: os._Environ[str] | dict[str, str]) -> dict[str, str]:
    """Environment of the server: what is set already stays, the rest gets values that work.

    Args:
        environment: of this process.
    """
    defaults = {
        # The newest MLflow refuses the store that MONAI Label asks for, and nothing here is tracked by it.
        "MONAI_LABEL_TRACKING_ENABLED": "false",
        # The app loads once; without this the loader forgets every module called lib.
        "MONAI_LABEL_RELOAD_APP_LIB": "false",
    }
    return {**defaults, **environment}
