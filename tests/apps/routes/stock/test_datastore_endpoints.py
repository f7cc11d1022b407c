"""Scans that are uploaded, and what is told about scans and labels."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx import Response

from lib.images.files import read_scan, write_volume
from lib.images.volume import Volume
from tests.apps.servers.in_process_server import serving

TASK = "name: one\nmodality: CT\nlabels: {lesion: 1}\n"


def scan_file(path: Path, value: float = 1.0) -> bytes:
    write_volume(path, Volume(np.full((4, 4, 4), value, np.float32), np.eye(4)))
    return path.read_bytes()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Path]]:
    root = tmp_path_factory.mktemp("uploads")
    studies = root / "studies"
    scan_file(studies / "there.nii.gz")
    scan_file(studies / "labels" / "final" / "there.nii.gz")
    (root / "one.yaml").write_text(TASK)
    conf = {"task": str(root / "one.yaml"), "device": "cpu", "stock_routes": "upload"}
    with serving(studies, conf) as client:
        yield client, studies


def upload(client: TestClient, content: bytes, name: str = "a.nii.gz", **query: Any) -> Response:
    answer: Response = client.put("/datastore/image", params=query, files={"file": (name, content)})
    return answer


def state(studies: Path) -> dict[str, bytes]:
    files = [path for path in studies.parent.rglob("*") if path.is_file() and "database" not in path.name]
    return {str(path): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    "image",
    [
        "../x",
        "../../x",
        "/tmp/calibrated-ensemble-was-here",
        "labels/final/there",
        ".hidden",
        "..",
        "a\\b",
        "x" * 300,
        "datastore_v2.json/../y",
    ],
)
def test_a_path_is_no_name_of_a_scan_and_nothing_is_written(
    served: tuple[TestClient, Path], tmp_path: Path, image: str
) -> None:
    client, studies = served
    before = state(studies)
    answer = upload(client, scan_file(tmp_path / "a.nii.gz"), image=image)
    assert answer.status_code == 422
    assert "name of a scan" in answer.json()["detail"]
    assert state(studies) == before
    assert not Path("/tmp/calibrated-ensemble-was-here.nii.gz").exists()


@pytest.mark.parametrize("name", ["a.json", "a.sh", "a", "a.nii.gz.py", "datastore_v2.json"])
def test_only_files_of_scans_are_taken(served: tuple[TestClient, Path], tmp_path: Path, name: str) -> None:
    client, studies = served
    before = state(studies)
    answer = upload(client, scan_file(tmp_path / "a.nii.gz"), name, image="new")
    assert (answer.status_code, state(studies)) == (422, before)


@pytest.mark.parametrize("content", [b"", b"no scan", b"\x1f\x8b broken"])
def test_what_does_not_read_as_a_scan_is_not_stored(served: tuple[TestClient, Path], content: bytes) -> None:
    client, studies = served
    before = state(studies)
    answer = upload(client, content, image="new")
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("the scan that was sent: ")
    assert state(studies) == before


def test_a_scan_is_stored_under_its_name_and_served(served: tuple[TestClient, Path], tmp_path: Path) -> None:
    client, studies = served
    content = scan_file(tmp_path / "a.nii.gz", 7)
    assert upload(client, content, image="Müller #1").json() == {"image": "Müller #1"}
    assert (studies / "Müller #1.nii.gz").read_bytes() == content
    assert client.get("/datastore/image", params={"image": "Müller #1"}).content == content
    # Without a name it is called as its file is.
    assert upload(client, content, "b.c.nii.gz").json() == {"image": "b.c"}
    assert (studies / "b.c.nii.gz").is_file()


def test_what_is_there_is_replaced_only_when_that_is_asked_for(served: tuple[TestClient, Path], tmp_path: Path) -> None:
    client, studies = served
    first = scan_file(tmp_path / "a.nii.gz", 1)
    assert upload(client, first, image="Ärztin").status_code == 200
    before = state(studies)
    second = scan_file(tmp_path / "b.nii", 2)
    for name in ("\u00c4rztin", "A\u0308rztin", "there"):
        refused = upload(client, second, "b.nii", image=name)
        assert (refused.status_code, "replace=true" in refused.json()["detail"]) == (422, True)
    assert state(studies) == before
    # Another format and another spelling of the name make no second scan.
    answer = upload(client, second, "b.nii", image="A\u0308rztin", replace=True)
    assert answer.json() == {"image": "\u00c4rztin"}
    assert [path.name for path in studies.glob("*rztin*")] == ["\u00c4rztin.nii"]
    assert read_scan(studies / "\u00c4rztin.nii").array.max() == 2


def test_a_replaced_scan_keeps_its_label(served: tuple[TestClient, Path], tmp_path: Path) -> None:
    client, _ = served
    assert upload(client, scan_file(tmp_path / "a.nii.gz", 3), image="there", replace=True).status_code == 200
    assert "final" in client.get("/datastore/?output=all").json()["objects"]["there"]["labels"]


def test_a_link_is_replaced_and_never_followed(served: tuple[TestClient, Path], tmp_path: Path) -> None:
    client, studies = served
    theirs = tmp_path / "theirs.nii.gz"
    content = scan_file(theirs, 5)
    (studies / "linked.nii.gz").symlink_to(theirs)
    assert upload(client, scan_file(tmp_path / "a.nii.gz", 6), image="linked", replace=True).status_code == 200
    assert theirs.read_bytes() == content
    assert not (studies / "linked.nii.gz").is_symlink()


def test_no_answer_about_scans_and_labels_tells_where_they_are(served: tuple[TestClient, Path]) -> None:
    client, studies = served
    paths = [
        "/datastore/",
        "/datastore/?output=all",
        "/datastore/?output=train",
        "/datastore/image/info?image=there",
        "/datastore/label/info?label=there&tag=final",
    ]
    answers = [client.get(path) for path in paths]
    assert {answer.status_code for answer in answers} == {200}
    assert [answer.text for answer in answers if str(studies.parent) in answer.text] == []
    assert answers[2].json() == [{"image": "there.nii.gz", "label": "there.nii.gz"}]
    assert answers[3].json()["name"] == "there.nii.gz"


def test_a_checksum_is_compared(served: tuple[TestClient, Path]) -> None:
    client, studies = served
    content = (studies / "there.nii.gz").read_bytes()
    digest = hashlib.sha256(content).hexdigest()

    def status(check_sum: str) -> int:
        return client.head("/datastore/image", params={"image": "there", "check_sum": check_sum}).status_code

    assert [status(digest), status(f"SHA256:{digest}"), status(f"MD5:{hashlib.md5(content).hexdigest()}")] == [200] * 3
    assert [status(f"SHA256:{digest[:-1]}0x"), status("CRC:1"), status("")] == [404, 422, 200]


@pytest.mark.parametrize(
    ("path", "field", "status"),
    [
        ("/datastore/image/info?image=there", "info", 200),
        ("/datastore/image/info?image=nobody", "info", 404),
        ("/datastore/label/info?label=there&tag=final", "info", 200),
        ("/datastore/label/info?label=nobody&tag=final", "info", 404),
        ("/datastore/label/info?label=there&tag=nothing", "info", 404),
        ("/datastore/updatelabelinfo?label=there&tag=final", "params", 200),
        ("/datastore/updatelabelinfo?label=nobody&tag=final", "params", 404),
    ],
)
def test_notes_are_kept_of_what_is_there(served: tuple[TestClient, Path], path: str, field: str, status: int) -> None:
    client, _ = served
    assert client.put(path, data={field: json.dumps({"note": "seen"})}).status_code == status
    for wrong in ("no json", "[1]", '{"a": NaN}', '{"a": "\\ud800"}'):
        assert client.put(path, data={field: wrong}).status_code == 422
