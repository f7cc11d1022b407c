"""Sessions, where a server is told to take them."""

import io
import tarfile
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from monailabel.utils.sessions import Sessions

from apps.calibrated_ensemble.http_errors import answer_errors
from apps.calibrated_ensemble.routes.stock.sessions import SessionStore, sessions_router


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    return SessionStore(Sessions(str(tmp_path / "sessions")))


@pytest.fixture
def client(store: SessionStore) -> TestClient:
    app = FastAPI()
    app.include_router(sessions_router(store))
    answer_errors(app)
    return TestClient(app)


def test_a_scan_is_sent_found_and_removed(client: TestClient, store: SessionStore, tmp_path: Path) -> None:
    answer = client.put("/session/", files={"files": ("a.nii.gz", b"scan")})
    session = answer.json()["session_id"]
    assert str(tmp_path) not in answer.text
    assert store.image(session).read_bytes() == b"scan"
    described = client.get(f"/session/{session}")
    assert described.json()["name"] == session
    assert str(tmp_path) not in described.text
    assert client.get(f"/session/{session}?image=true").content == b"scan"
    assert client.delete(f"/session/{session}").status_code == 200
    assert client.get(f"/session/{session}").status_code == 404


def test_the_files_of_a_series_are_one_folder(client: TestClient, store: SessionStore) -> None:
    files = [("files", (f"{number}.dcm", b"x")) for number in range(3)]
    session = client.put("/session/", files=files).json()["session_id"]
    assert sorted(path.name for path in store.image(session).iterdir()) == ["0.dcm", "1.dcm", "2.dcm"]


def test_no_archive_is_unpacked(client: TestClient, tmp_path: Path) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        member = tarfile.TarInfo("../../evil")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    answer = client.put("/session/?uncompress=true", files={"files": ("a.tar", content.getvalue())})
    assert answer.status_code == 422
    assert list(tmp_path.rglob("evil")) == []


@pytest.mark.parametrize("name", ["..", "../evil", "/tmp/evil", "a\\b", "meta.info", "x" * 300])
def test_no_file_leads_out_of_its_session(client: TestClient, tmp_path: Path, name: str) -> None:
    answer = client.put("/session/", files={"files": (name, b"x")})
    assert answer.status_code == 422
    assert not (tmp_path / "sessions").exists()


def test_two_files_of_one_name_are_refused(client: TestClient) -> None:
    files = [("files", ("a.dcm", b"x")), ("files", ("a.dcm", b"y"))]
    assert client.put("/session/", files=files).status_code == 422


def test_a_session_inside_a_session_is_none(client: TestClient, store: SessionStore, tmp_path: Path) -> None:
    files = [("files", (f"{number}.dcm", b"x")) for number in range(2)]
    session = client.put("/session/", files=files).json()["session_id"]
    secret = tmp_path / "secret"
    secret.write_text("x")
    # What a client sends lies in the store as well, and could pass for the record of a session.
    planted = store.image(session)
    (planted / "meta.info").write_text(f'{{"name": "x", "image": "{secret}", "path": "{tmp_path}"}}')
    for name in (f"{session}%2F{planted.name}", "..", "%2e%2e", "", "x" * 300, session.upper()):
        assert client.get(f"/session/{name}").status_code in (404, 405), name
        assert client.delete(f"/session/{name}").status_code in (404, 405), name
    assert secret.exists()
