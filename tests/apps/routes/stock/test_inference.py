"""Which scans `/infer` predicts: those of the datastore by their names, those that come along, and no others."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests.apps.servers.in_process_server import serving
from tests.tiny_studies import TinyStudies, copy_trained_studies


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> TinyStudies:
    return copy_trained_studies(tmp_path_factory, tmp_path_factory.mktemp("inference"))


@pytest.fixture(scope="module")
def client(studies: TinyStudies) -> Iterator[TestClient]:
    with serving(studies.folder, {"task": str(studies.task), "device": "cpu"}) as client:
        yield client


def figures(client: TestClient, **query: str) -> dict[str, float]:
    answer = client.post("/infer/calibrated_ensemble", params={"output": "json", **query})
    assert answer.status_code == 200, answer.text
    volumes: dict[str, float] = answer.json()["volumes_mm3"]
    return volumes


def test_a_path_is_no_name_of_a_scan_whatever_lies_there(client: TestClient, studies: TinyStudies) -> None:
    scan = studies.phantoms[0].scan
    inside = studies.folder / f"{studies.phantoms[0].name}.nii.gz"
    there = [str(scan), str(inside), str(scan.parent), f"../{scan.parent.name}/{scan.name}", "/", "/etc", "."]
    missing = [f"{scan.parent}/nothing.nii.gz", "/nothing"]
    answers = {path: client.post("/infer/calibrated_ensemble", params={"image": path}) for path in (*there, *missing)}
    assert {answer.status_code for answer in answers.values()} == {404}
    # What is there and what is not are answered alike.
    said = {answer.json()["detail"].split(": ", 1)[1] for answer in answers.values()}
    assert len(said) == 1


def test_no_parameter_names_a_file_of_the_server(client: TestClient, studies: TinyStudies) -> None:
    first, second = (files.name for files in studies.phantoms[:2])
    expected = figures(client, image=first)
    assert expected != figures(client, image=second)
    other = str(studies.folder / f"{second}.nii.gz")
    for wish in ({"image": second}, {"image": other}, {"region": "/etc/passwd"}, {"session": other}, {"model": "x"}):
        answer = client.post(
            "/infer/calibrated_ensemble", params={"image": first, "output": "json"}, data={"params": json.dumps(wish)}
        )
        assert answer.json()["volumes_mm3"] == expected, wish


def test_a_file_in_the_working_folder_does_not_hide_the_scan_of_its_name(
    client: TestClient, studies: TinyStudies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = studies.phantoms[:2]
    expected = figures(client, image=first.name)
    shutil.copy(second.scan, tmp_path / first.name)
    (tmp_path / second.name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert figures(client, image=first.name) == expected
    assert figures(client, image=second.name) != expected


def test_a_scan_that_is_sent_is_predicted_and_nothing_of_it_stays(
    client: TestClient, studies: TinyStudies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    content = studies.phantoms[0].scan.read_bytes()
    answer = client.post(
        "/infer/calibrated_ensemble", params={"output": "image"}, files={"file": ("a.nii.gz", content)}
    )
    received = tmp_path / "received.nii.gz"
    received.write_bytes(answer.content)
    assert np.asanyarray(nib.load(received).dataobj).shape == nib.load(studies.phantoms[0].scan).shape
    assert list(tmp_path.iterdir()) == [received]


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.nii.gz", b"no scan", "cannot be read"),
        ("../../a.nii", b"", "cannot be read"),
        ("a.png", b"x", "its name ends in no .nii.gz"),
        ("a" + ".b" * 500, b"x", "its name ends in no .nii.gz"),
    ],
)
def test_a_wrong_file_that_is_sent_is_named_as_such_and_removed(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, part: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    answer = client.post("/infer/calibrated_ensemble", files={"file": (name, content)})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("the scan that was sent: ")
    assert part in answer.json()["detail"]
    assert str(tmp_path) not in answer.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wish", "part"),
    [
        ({"result_dtype": "int64"}, "result_dtype"),
        ({"result_dtype": {"names": ["a"]}}, "result_dtype"),
        ({"label_tag": "../../x", "save_label": True}, "tag"),
        ({"label_tag": "final", "save_label": True}, "people submit"),
    ],
)
def test_a_wrong_wish_is_refused(client: TestClient, studies: TinyStudies, wish: dict[str, object], part: str) -> None:
    final = studies.folder / "labels" / "final"
    before = {path: path.read_bytes() for path in final.iterdir()}
    answer = client.post(
        "/infer/calibrated_ensemble", params={"image": studies.labelled[0]}, data={"params": json.dumps(wish)}
    )
    assert answer.status_code == 422
    assert part in answer.json()["detail"]
    assert {path: path.read_bytes() for path in final.iterdir()} == before


def test_a_session_is_none_where_sessions_are_off(client: TestClient) -> None:
    query = {"session_id": "0b0b0b0b-0000-1111-2222-333333333333"}
    assert client.post("/infer/calibrated_ensemble", params=query).status_code == 404


def test_a_request_for_nothing_says_what_to_give(client: TestClient) -> None:
    answer = client.post("/infer/calibrated_ensemble")
    assert (answer.status_code, "image" in answer.json()["detail"]) == (422, True)
