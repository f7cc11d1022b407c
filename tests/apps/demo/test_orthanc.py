"""The local Orthanc: found, started, remembered, and gone when whoever started it is gone."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import psutil
import pytest
import requests
from dicomweb_client import DICOMwebClient

from apps.calibrated_ensemble.demo.orthanc import (
    OrthancFiles,
    find_orthanc,
    install_commands,
    local_orthanc,
    running_orthanc,
)
from lib.dicom.series_writer import series_datasets
from lib.errors import InputError
from lib.simulation.phantoms import make_phantom
from tests.apps.servers.running_server import wait_for


@pytest.fixture(scope="module")
def files() -> OrthancFiles:
    try:
        return find_orthanc()
    except InputError as error:
        pytest.skip(str(error))


def own_children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.name() == "Orthanc"]


def test_what_is_stored_is_there_again_on_the_same_port(tmp_path: Path, files: OrthancFiles) -> None:
    datasets = series_datasets(
        make_phantom(0).scan, modality="CT", patient_id="phantom-000", description="a test", entropy="test_orthanc"
    )
    with local_orthanc(tmp_path / "pacs", files) as url:
        DICOMwebClient(url).store_instances(datasets)
        assert running_orthanc(tmp_path / "pacs") == url
    assert not own_children()
    assert running_orthanc(tmp_path / "pacs") is None
    with local_orthanc(tmp_path / "pacs", files) as again:
        assert again == url
        (series,) = DICOMwebClient(again).search_for_series(search_filters={"Modality": "CT"})
        assert series["0020000E"]["Value"] == [datasets[0].SeriesInstanceUID]
        assert series["00201209"]["Value"] == [len(datasets)]


def test_one_that_runs_with_the_folder_is_used_and_left_running(tmp_path: Path, files: OrthancFiles) -> None:
    with local_orthanc(tmp_path, files) as first:
        with local_orthanc(tmp_path, files) as second:
            assert second == first
            assert len(own_children()) == 1
        assert requests.get(f"{first}/studies", timeout=30).ok


def test_two_folders_have_two(tmp_path: Path, files: OrthancFiles) -> None:
    with local_orthanc(tmp_path / "a", files) as a, local_orthanc(tmp_path / "b", files) as b:
        assert a != b


def test_other_machines_are_refused(tmp_path: Path, files: OrthancFiles) -> None:
    outside = [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    ]
    if not outside:
        pytest.skip("this machine has no address but its own")
    with local_orthanc(tmp_path, files) as url:
        asked = url.replace("127.0.0.1", outside[0]) + "/studies"
        try:
            answer = requests.get(asked, timeout=30)
        except requests.ConnectionError:
            return
        assert answer.status_code in (401, 403)


@pytest.fixture
def another_program() -> Iterator[int]:
    """A web server that is no Orthanc; gives its port."""

    class Greeter(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'["not an Orthanc"]')

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = HTTPServer(("", 0), Greeter)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_port_that_another_program_has_is_not_taken(
    tmp_path: Path, files: OrthancFiles, another_program: int
) -> None:
    (tmp_path / "orthanc.json").write_text(json.dumps({"HttpPort": another_program}))
    assert running_orthanc(tmp_path) is None
    with local_orthanc(tmp_path, files) as url:
        assert f":{another_program}/" not in url
        assert json.loads((tmp_path / "orthanc.json").read_text())["HttpPort"] != another_program


@pytest.mark.parametrize("content", ["", "{", "[]", '{"HttpPort": "many"}', "{}"])
def test_a_damaged_configuration_is_written_again(tmp_path: Path, files: OrthancFiles, content: str) -> None:
    (tmp_path / "orthanc.json").write_text(content)
    with local_orthanc(tmp_path, files) as url:
        assert running_orthanc(tmp_path) == url


def test_it_ends_when_an_error_ends_the_block(tmp_path: Path, files: OrthancFiles) -> None:
    def fail_while_it_runs() -> None:
        with local_orthanc(tmp_path, files):
            assert own_children()
            raise RuntimeError("in the block")

    with pytest.raises(RuntimeError, match="in the block"):
        fail_while_it_runs()
    assert not own_children()


def test_a_failed_start_says_why_in_one_line(tmp_path: Path, files: OrthancFiles) -> None:
    (tmp_path / "storage").write_text("a file where the folder should be")
    reason = r"Orthanc ended at its start \(.+\); .*orthanc.log tells more"
    with pytest.raises(InputError, match=reason) as caught, local_orthanc(tmp_path, files):
        pytest.fail("it started")
    assert "\n" not in str(caught.value)


STARTER = """
import os, sys
from pathlib import Path
from apps.calibrated_ensemble.demo.orthanc import find_orthanc, local_orthanc
with local_orthanc(Path(sys.argv[1]), find_orthanc()):
    os.execv(sys.executable, [sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()"])
"""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_it_ends_with_the_program_that_its_starter_became(
    tmp_path: Path, files: OrthancFiles, end: signal.Signals
) -> None:
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path)], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    try:
        assert starter.stdout.readline() == b"up\n"
        (orthanc,) = psutil.Process(starter.pid).children()
        assert running_orthanc(tmp_path) is not None
        starter.send_signal(end)
        starter.wait(timeout=30)
        wait_for(lambda: not orthanc.is_running(), seconds=30, what="Orthanc to end")
    finally:
        starter.kill()
        starter.wait()
        starter.stdout.close()


def test_a_missing_plugin_is_named_with_what_to_install(tmp_path: Path, files: OrthancFiles) -> None:
    with pytest.raises(InputError, match=r"plugin libOrthancDicomWeb.so cannot be found.*orthanc-dicomweb.*PACS="):
        find_orthanc(tmp_path)


@pytest.mark.parametrize(
    "place", ["usr/share/orthanc/plugins", "usr/lib/orthanc", "usr/lib/x86_64-linux-gnu/orthanc", "usr/lib64/orthanc"]
)
def test_the_plugin_is_found_wherever_it_lies(tmp_path: Path, files: OrthancFiles, place: str) -> None:
    plugin = tmp_path / place / "libOrthancDicomWeb.so.1.7"
    plugin.parent.mkdir(parents=True)
    plugin.touch()
    assert find_orthanc(tmp_path).plugin == plugin


def make_program(folder: Path, name: str, *, status: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\nexit {status}\n")
    program.chmod(0o755)


def test_it_is_installed_by_root_or_by_who_needs_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert install_commands() is None
    make_program(programs, "apt-get")
    assert install_commands() is None
    make_program(programs, "sudo", status=1)
    assert install_commands() is None
    make_program(programs, "sudo", status=0)
    by_sudo = install_commands()
    assert by_sudo is not None
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    by_root = install_commands()
    assert by_root is not None
    assert by_sudo == [[str(programs / "sudo"), "-n", *command] for command in by_root]
    assert by_root[0] == [str(programs / "apt-get"), "update"]
    assert by_root[1][-2:] == ["orthanc", "orthanc-dicomweb"]
