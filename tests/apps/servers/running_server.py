"""The real MONAI Label server as a subprocess, for the tests that talk to it over HTTP."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import requests
from monailabel.client.client import MONAILabelClient

REPOSITORY = Path(__file__).resolve().parents[3]
APP = REPOSITORY / "apps" / "calibrated_ensemble"
START_SECONDS = 120.0


class RunningServer:
    """`monailabel start_server` on a free port; `stop` or `kill` must be called at the end.

    Args:
        studies: the studies folder, or URL of a PACS.
        folder: for the server's log and the client's files.
        conf: settings of the app, key to value.
        port: where it listens; a free one by default.
        environment: more variables.
        application: another than MONAI Label's, `module:name` in this repository.
    """

    def __init__(
        self,
        studies: Path | str,
        folder: Path,
        conf: dict[str, str],
        *,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        application: str | None = None,
    ):
        self.studies = Path(studies)
        self.workspace = Path(conf["workspace"]) if "workspace" in conf else Path(studies) / ".calibrated_ensemble"
        self.log = folder / f"server-{time.time_ns()}.log"
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        variables = {key: value for key, value in os.environ.items() if not key.startswith("CALIBRATED_ENSEMBLE_")}
        variables |= {"OMP_NUM_THREADS": "1", "MONAI_LABEL_SESSION_PATH": str(folder / "sessions")}
        variables |= environment or {}
        command = [sys.executable, "-m", "monailabel.main", "start_server"]
        command += ["--app", str(APP), "--studies", str(studies), "--host", "127.0.0.1", "--port", str(self.port)]
        for key, value in conf.items():
            command += ["--conf", key, value]
        if application is not None:
            command += ["--uvicorn_app", application]
            variables["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), variables.get("PYTHONPATH")]))
        with self.log.open("wb") as log:
            # Elsewhere than in the checkout, so that nothing is found only because it is the working folder.
            self.process = subprocess.Popen(command, cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT)
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.kill()
            raise

    def client(self, name: str | None = None) -> MONAILabelClient:
        return MONAILabelClient(self.url, tmpdir=str(self._folder), client_id=name)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(method, self.url + path, timeout=120, **options)

    def finish(self, task: str) -> dict[str, Any]:
        """Wait for the background task (train, scoring, batch/infer) that was started last, and give its state."""
        wait_for(lambda: self.state(task) not in ("SUBMITTED", "RUNNING"), seconds=150, what=f"{task} to end")
        return self.request("GET", f"/{task}/" if "/" not in task else f"/{task}").json()

    def background_processes(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def kill(self, *, with_children: bool = True) -> None:
        """Kill -9, the background processes too unless told otherwise."""
        children = self.background_processes() if with_children and self.process.poll() is None else []
        self.process.kill()
        for child in children:
            child.kill()
        self.process.wait(timeout=30)
        psutil.wait_procs(children, timeout=30)

    def stop(self) -> None:
        """Ask the server to end (Ctrl-C); the test fails when it does not."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()
                raise

    def state(self, task: str) -> str:
        answer = self.request("GET", f"/{task}/" if "/" not in task else f"/{task}")
        answer.raise_for_status()
        return answer.json()["status"]

    def _wait_until_it_answers(self) -> None:
        def answers() -> bool:
            assert self.process.poll() is None, f"the server ended:\n{self.log.read_text()[-3000:]}"
            try:
                # One that asks for a sign-in answers 401.
                return requests.get(f"{self.url}/info/", timeout=30).status_code in (200, 401)
            except requests.ConnectionError:
                return False

        wait_for(answers, seconds=START_SECONDS, what="the server to start")


def wait_for(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Ask again and again until the condition holds; fail after some time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.2)
