"""A real PACS as a subprocess: Debian's Orthanc with its DICOMweb plugin."""

import io
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import pytest
import requests
from dicomweb_client import DICOMwebClient
from pydicom import Dataset, dcmwrite
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from tests.apps.servers.running_server import wait_for

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


class RunningOrthanc:
    """Orthanc on a free port; `stop` must be called at the end, or use it as a context manager.

    The test that starts one is skipped where Orthanc is not installed.

    Args:
        folder: for its database, configuration and log; what an earlier one stored there is there again.
        user: name and password that it asks for; none by default.

    Attributes:
        url: its DICOMweb root.
        rest: the root of its own interface.
        session: for requests; knows the password.
    """

    def __init__(self, folder: Path, *, user: tuple[str, str] | None = None):
        program = shutil.which("Orthanc", path="/usr/sbin:/usr/bin:/usr/local/bin")
        if program is None or not PLUGIN.exists():
            pytest.skip("needs Orthanc: apt-get install orthanc orthanc-dicomweb")
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.rest = f"http://127.0.0.1:{port}"
        self.url = f"{self.rest}/dicom-web"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = user
        # Orthanc drops idle connections without notice; storing an instance twice changes nothing.
        self.session.mount("http://", HTTPAdapter(max_retries=Retry(3, connect=0, allowed_methods=None)))
        configuration = folder / "orthanc.json"
        configuration.write_text(json.dumps(_configuration(folder / "storage", port, user)))
        self.log = folder / f"orthanc-{time.time_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([program, str(configuration)], stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for(self._answers, seconds=60, what="Orthanc to start")
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def client(self) -> DICOMwebClient:
        return DICOMwebClient(self.url, session=self.session)

    def store(self, datasets: Iterable[Dataset]) -> None:
        """Store instances; fails when Orthanc does not take one."""
        for dataset in datasets:
            file = io.BytesIO()
            dcmwrite(file, dataset, write_like_original=False)
            answer = self.session.post(f"{self.rest}/instances", data=file.getvalue(), timeout=60)
            assert answer.ok, f"Orthanc refused {dataset.SOPInstanceUID}: {answer.text}"

    def clear(self) -> None:
        """Remove all that it holds."""
        for patient in self.session.get(f"{self.rest}/patients", timeout=60).json():
            assert self.session.delete(f"{self.rest}/patients/{patient}", timeout=60).ok

    def stop(self) -> None:
        """Ask it to end, which writes its database."""
        self.session.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=30)
                raise

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"Orthanc ended:\n{self.log.read_text()[-3000:]}"
        try:
            return self.session.get(f"{self.rest}/system", timeout=30).ok
        except requests.ConnectionError:
            return False


def _configuration(storage: Path, port: int, user: tuple[str, str] | None) -> dict[str, object]:
    return {
        "StorageDirectory": str(storage),
        "IndexDirectory": str(storage),
        "Plugins": [str(PLUGIN)],
        "HttpPort": port,
        "HttpDescribeErrors": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": user is not None,
        "RegisteredUsers": dict([user]) if user else {},
        "DicomServerEnabled": False,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
    }
