"""Labels over HTTP, in this process: whatever comes is kept, nothing stays in the temporary folder, nothing is 500."""

import gzip
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import nibabel as nib
import numpy as np
import pytest
from fastapi import FastAPI, Form, UploadFile
from fastapi.testclient import TestClient

from apps.calibrated_ensemble.datastores.label_submission import LabelSubmission
from apps.calibrated_ensemble.datastores.studies_folder import StudiesFolder
from apps.calibrated_ensemble.http_errors import answer_errors
from apps.calibrated_ensemble.routes.label_upload import store_label
from scoring.database.engine import open_database
from tests.apps.datastores.test_studies_folder import TASK, write_image

LABEL = "label.nii.gz"


class App:
    """Takes note of nothing."""

    def __init__(self, store: StudiesFolder):
        self._store = store

    def datastore(self) -> StudiesFolder:
        return self._store

    def on_save_label(self, image_id: str, label_id: str, tag: str) -> dict[str, Any]:
        return {"label_version": self._store.label_version(image_id), "tag": tag, "of": label_id}


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def refused(tmp_path: Path) -> Path:
    return tmp_path / "workspace" / "refused"


@pytest.fixture
def client(tmp_path: Path, refused: Path, temporary: Path) -> Iterator[TestClient]:
    write_image(tmp_path / "studies" / "scan.nii.gz")
    engine = open_database(tmp_path / "workspace" / "database.sqlite")
    submission = LabelSubmission(TASK, engine, refused_folder=refused, versions_folder=refused.with_name("versions"))
    store = StudiesFolder(str(tmp_path / "studies"), submission=submission, auto_reload=False)
    server = FastAPI()

    @server.put("/label")
    def save(
        image: str, label: UploadFile, params: Annotated[str, Form()] = "{}", tag: str = "final"
    ) -> dict[str, Any]:
        return store_label(App(store), submission, image=image, tag=tag, params=params, upload=label, user="signed in")

    answer_errors(server)
    with TestClient(server, raise_server_exceptions=False) as client:
        yield client


def put(client: TestClient, content: bytes, *, name: str = LABEL, params: str = "{}", image: str = "scan") -> Any:
    return client.put("/label", params={"image": image}, data={"params": params}, files={"label": (name, content)})


def good(tmp_path: Path) -> bytes:
    return write_image(tmp_path / "good.nii.gz", 1).read_bytes()


def test_a_label_is_stored_with_who_is_signed_in(client: TestClient, tmp_path: Path, temporary: Path) -> None:
    answer = put(client, good(tmp_path), params=json.dumps({"client_id": "ann", "started_from": ""}))
    assert answer.status_code == 200
    told = answer.json()
    assert (told["image"], told["label"], told["tag"]) == ("scan", "scan", "final")
    assert len(told["label_version"]) == 64
    index = json.loads((tmp_path / "studies" / "datastore_v2.json").read_text())
    info = index["objects"]["scan"]["labels"]["final"]["info"]
    assert (info["client_id"], info["user"]) == ("ann", "signed in")
    assert list(temporary.iterdir()) == []


def test_another_label_in_between_is_told_with_all_that_a_viewer_needs(client: TestClient, tmp_path: Path) -> None:
    first = put(client, good(tmp_path), params=json.dumps({"client_id": "ann", "started_from": ""})).json()
    other = write_image(tmp_path / "other.nii.gz", 2).read_bytes()
    answer = put(client, other, params=json.dumps({"client_id": "bob", "started_from": ""}))
    assert answer.status_code == 409
    detail = answer.json()["detail"]
    assert detail.keys() == {"message", "conflict", "label_version", "submitted_by", "submitted_at", "kept_as"}
    assert (detail["conflict"], detail["label_version"]) == ("label", first["label_version"])
    mine = json.dumps({"client_id": "bob", "started_from": detail["label_version"]})
    assert put(client, other, params=mine).status_code == 200


@pytest.mark.parametrize(
    "params",
    [
        "not json",
        "[1]",
        '"x"',
        "1",
        "[" * 100_000,
        '{"client_id": {"a": 1}}',
        '{"client_id": "' + "x" * 5000 + '"}',
        '{"client_id": "M\\u00fcller \\ud800"}',
        '{"client_id": "a\\nb"}',
        '{"started_from": 3}',
        '{"label_info": [{"name": "liver", "idx": 1}]}',
        '{"label_info": [{"name": "lesion", "idx": [1]}]}',
        '{"label_info": [{"name": "lesion", "idx": {"a": 1}}]}',
        '{"label_info": [{"name": "lesion", "idx": "1"}]}',
    ],
)
def test_odd_parameters_are_refused_and_the_label_is_kept(
    client: TestClient, tmp_path: Path, refused: Path, temporary: Path, params: str
) -> None:
    content = good(tmp_path)
    answer = put(client, content, params=params)
    assert answer.status_code == 422
    (kept,) = refused.iterdir()
    assert kept.name in answer.json()["detail"]
    assert kept.read_bytes() == content
    assert not (tmp_path / "studies" / "labels" / "final" / "scan.nii.gz").exists()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "params",
    [
        '{"label_info": [{"name": null, "idx": 1}]}',
        '{"label_info": ["lesion"]}',
        '{"label_info": {"lesion": 1}}',
        '{"label_info": "lesion"}',
        '{"label_info": [{"name": "Lesion ", "idx": 1.0}]}',
    ],
)
def test_information_that_says_nothing_of_values_is_no_reason_to_refuse(
    client: TestClient, tmp_path: Path, params: str
) -> None:
    assert put(client, good(tmp_path), params=params).status_code == 200


@pytest.mark.parametrize("name", ["label", "label.mha", "x/../../y.dcm", "l." + "x" * 300, "a.\0b", "a.npz", "a.zip"])
def test_a_file_of_another_kind_is_refused_and_kept(
    client: TestClient, tmp_path: Path, refused: Path, temporary: Path, name: str
) -> None:
    answer = put(client, good(tmp_path), name=name)
    assert answer.status_code == 422
    assert len(list(refused.iterdir())) == 1
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("name", ["a b.c.nii.gz", "label.NII.GZ", "x/../../y.nii.gz", "l" * 250 + ".nii.gz"])
def test_a_label_may_be_called_anything(client: TestClient, tmp_path: Path, name: str) -> None:
    assert put(client, good(tmp_path), name=name).status_code == 200


@pytest.mark.parametrize("image", ["nobody", "../../etc/passwd", "a" * 3000, "", "a\nb"])
def test_a_label_of_no_scan_is_kept(client: TestClient, tmp_path: Path, refused: Path, image: str) -> None:
    assert put(client, good(tmp_path), image=image).status_code == 404
    assert len(list(refused.iterdir())) == 1


def nifti_bomb() -> bytes:
    header = nib.Nifti1Header()
    header.set_data_shape((1000, 1000, 500))
    header.set_data_dtype(np.uint8)
    header.set_sform(np.eye(4), 1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    million = gzip.compress(bytes(1_000_000))
    return gzip.compress(header.binaryblock + bytes(4)) + million * 500


def nrrd_bomb(encoding: str) -> bytes:
    import bz2

    header = (
        f"NRRD0005\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 2\n"
        f"space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nencoding: {encoding}\n\n"
    )
    return header.encode() + (gzip.compress if encoding == "gzip" else bz2.compress)(bytes(100_000_000))


@pytest.mark.parametrize(
    ("name", "bomb"),
    [
        (LABEL, nifti_bomb),
        ("a.nrrd", lambda: nrrd_bomb("gzip")),
        ("a.nrrd", lambda: nrrd_bomb("bzip2")),
    ],
)
def test_a_bomb_is_refused_within_seconds(client: TestClient, temporary: Path, name: str, bomb: Any) -> None:
    content = bomb()
    assert len(content) < 1 << 20
    start = time.monotonic()
    assert put(client, content, name=name).status_code == 422
    assert time.monotonic() - start < 5
    assert list(temporary.iterdir()) == []


def test_no_file_of_the_server_is_told_by_a_detached_header(client: TestClient, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\x2a" * 8)
    header = nrrd_bomb("raw").split(b"\n\n")[0] + f"\ndata file: {secret}\n\n".encode()
    answer = put(client, header, name="a.nrrd")
    assert answer.status_code == 422
    assert "42" not in answer.json()["detail"].split(" is kept")[0]
    assert "keeps its data in another file" in answer.json()["detail"]
