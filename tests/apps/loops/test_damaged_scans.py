"""Scans with damage in headers and bodies: each is predicted or named, by the command and the server.

Two hundred of them, or as many as `DAMAGED_SCANS` says.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from fastapi.testclient import TestClient

from tests.apps.servers.in_process_server import serving
from tests.damaged.damaged_scans import damaged_scan, whole_scan
from tests.tiny_studies import TinyStudies, copy_trained_studies

COUNT = int(os.environ.get("DAMAGED_SCANS", "200"))
MOST_MEMORY = 1_500 << 20
"""Bytes that the command may take in all; the libraries alone take half of that."""
MORE_MEMORY = 300 << 20
"""Bytes by which the server may grow."""


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> TinyStudies:
    return copy_trained_studies(tmp_path_factory, tmp_path_factory.mktemp("damaged_studies"))


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("damaged")
    return [damaged_scan(seed, folder) for seed in range(COUNT)]


@pytest.fixture(scope="module")
def client(studies: TinyStudies) -> Iterator[TestClient]:
    with serving(studies.folder, {"task": str(studies.task), "device": "cpu"}) as client:
        yield client


def test_the_command_predicts_or_names_each_of_them_in_one_run(
    studies: TinyStudies, damaged: list[Path], tmp_path: Path
) -> None:
    whole = whole_scan(tmp_path / "whole")
    command = [sys.executable, "-c", "from apps.calibrated_ensemble.command_line import main; main()", "predict"]
    options = ["--studies", str(studies.folder), "--output", str(tmp_path / "out"), "--device", "cpu", "--json"]
    out, err = tmp_path / "out.json", tmp_path / "err.txt"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen([*command, *map(str, damaged), str(whole), *options], stdout=stdout, stderr=stderr)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 2, err.read_text()[-2000:]
    said = json.loads(out.read_text())
    predicted = {scan["image"] for scan in said["scans"]}
    assert predicted | set(said["failed"]) == {*map(str, damaged), str(whole)}
    assert str(whole) in predicted
    assert COUNT // 10 < len(predicted) < COUNT // 2
    assert "Traceback" not in err.read_text()
    for scan, reason in said["failed"].items():
        assert Path(scan).name in reason, reason
        assert reason.isprintable()
        assert len(reason) < 500
        assert "cannot be used" not in reason, "nobody foresaw this"
        assert f"calibrated-ensemble: {reason}" in err.read_text()
    assert usage.ru_maxrss << 10 < MOST_MEMORY


def test_the_server_answers_each_of_them_with_a_prediction_or_a_reason(
    client: TestClient, damaged: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = [path for path in damaged if path.is_file()]
    before = psutil.Process().memory_info().rss
    answers = {path: _predict(client, path.name, path.read_bytes()) for path in files}
    assert set(answers.values()) <= {200, 400, 422}
    assert 0 < [*answers.values()].count(200) < len(files) // 2
    assert "Traceback" not in caplog.text
    whole = whole_scan(tmp_path)
    assert _predict(client, whole.name, whole.read_bytes()) == 200
    assert psutil.Process().memory_info().rss - before < MORE_MEMORY


def _predict(client: TestClient, name: str, content: bytes) -> int:
    answer = client.post("/infer/calibrated_ensemble", params={"output": "json"}, files={"file": (name, content)})
    assert "Traceback" not in answer.text
    return answer.status_code
