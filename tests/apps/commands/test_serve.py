"""How `serve` starts MONAI Label's server; what the server then does is tested with the server running."""

import os
import socket
import sys
from pathlib import Path

import pytest

from apps.calibrated_ensemble.command_line import run
from apps.calibrated_ensemble.commands.context import CommandContext
from apps.calibrated_ensemble.commands.options import CommandOptions
from apps.calibrated_ensemble.commands.serve import (
    APP_FOLDER,
    require_free_port,
    serve_environment,
    server_command,
    server_url,
)
from lib.errors import InputError


def test_the_server_gets_the_settings_with_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("name: mine\nmodality: CT\nlabels: {cyst: 1}\n")
    options = CommandOptions("studies", workspace=Path("models"), task="mine.yaml", device="cpu", lease_minutes=5)
    chosen = CommandContext.of_options(options)
    command = server_command(chosen, host="127.0.0.1", port=8123)
    conf = {command[i + 1]: command[i + 2] for i, part in enumerate(command) if part == "--conf"}
    assert conf == {
        "task": str(tmp_path / "mine.yaml"),
        "workspace": str(tmp_path / "models"),
        "device": "cpu",
        "lease_minutes": "5.0",
    }
    assert command[:4] == [sys.executable, "-m", "monailabel.main", "start_server"]
    assert command[command.index("--studies") + 1] == str(tmp_path / "studies")
    assert command[command.index("--app") + 1] == str(APP_FOLDER)
    assert (APP_FOLDER / "main.py").is_file()


def test_a_dicomweb_url_is_passed_on_as_it_is() -> None:
    command = server_command(
        CommandContext.of_options(CommandOptions("http://localhost:8042/dicom-web")), host="127.0.0.1", port=8000
    )
    assert command[command.index("--studies") + 1] == "http://localhost:8042/dicom-web"


@pytest.mark.parametrize(
    ("host", "more", "known"),
    [
        ("scans.clinic.example", "", "scans.clinic.example"),
        ("scans", "a.example", "a.example,scans"),
        ("0.0.0.0", "a.example", "a.example"),
        ("::1", "", None),
    ],
)
def test_a_name_that_the_server_listens_under_is_known_to_it(
    monkeypatch: pytest.MonkeyPatch, host: str, more: str, known: str | None
) -> None:
    monkeypatch.setenv("CALIBRATED_ENSEMBLE_ALLOWED_HOSTS", more)
    command = server_command(CommandContext.of_options(CommandOptions("studies")), host=host, port=8000)
    conf = {command[i + 1]: command[i + 2] for i, part in enumerate(command) if part == "--conf"}
    assert conf.get("allowed_hosts") == known


def test_a_password_in_the_database_url_is_not_shown_on_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALIBRATED_ENSEMBLE_DATABASE_URL", "postgresql://me:secret@localhost/queue")
    chosen = CommandContext.of_options(CommandOptions("studies"))
    assert "secret" not in " ".join(server_command(chosen, host="127.0.0.1", port=8000))
    assert "secret" in serve_environment(os.environ)["CALIBRATED_ENSEMBLE_DATABASE_URL"]


def test_the_environment_is_safe_unless_told_otherwise() -> None:
    assert serve_environment({"PATH": "/bin"})["MONAI_LABEL_TRACKING_ENABLED"] == "false"
    told = {"PATH": "/bin", "MONAI_LABEL_TRACKING_ENABLED": "true"}
    assert serve_environment(told) == {**told, "MONAI_LABEL_RELOAD_APP_LIB": "false"}


def test_a_port_that_is_taken_is_told_before_the_server_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run(["serve", "--studies", str(tmp_path), "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert f"--port {port}: cannot be listened on" in said
    assert len(said.strip().splitlines()) == 1
    require_free_port("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be listened on"):
        require_free_port("192.0.2.1", 8000)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("annotation.local", "http://annotation.local:8000"),
    ],
)
def test_the_address_can_be_opened(host: str, url: str) -> None:
    assert server_url(host, 8000) == url


def test_the_process_becomes_the_server_on_this_machine_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execve", lambda *arguments: started.append(arguments[1]))
    assert run(["serve", "--studies", str(tmp_path), "--task", "phantom", "--port", port]) == 0
    assert started[0][started[0].index("--host") + 1] == "127.0.0.1"
    assert started[0][started[0].index("--port") + 1] == port
    assert f"Open http://127.0.0.1:{port} in a browser" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_to_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nobody may make a file in /sys, not even root.
    assert run(["serve", "--studies", "/sys", "--workspace", str(tmp_path / "workspace"), "--task", "phantom"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "/sys: cannot be written" in said
    assert not (tmp_path / "workspace").exists()
