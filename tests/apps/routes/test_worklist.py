"""The worklist over HTTP; the scans are those of a folder, and a PACS gives the study besides."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from apps.calibrated_ensemble.datastores.indexed_scans import IndexedScans
from apps.calibrated_ensemble.http_errors import answer_errors
from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from apps.calibrated_ensemble.project import Project
from apps.calibrated_ensemble.routes.worklist import worklist_router
from lib.datasets.scans import stamp_files
from scoring.database.scan_list import mark_labelled, synchronise_scans
from scoring.database.score_records import Scored, record_failure, record_score
from tests.apps.datastores.test_studies_folder import open_folder, write_image
from tests.apps.made_up_project import open_project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with open_project(tmp_path, lease_minutes="1") as project:
        yield project


@pytest.fixture
def engine(project: Project) -> Engine:
    engine = project.engine
    synchronise_scans(engine, ["a", "b", "c", "d"], [])
    for name, mean in {"a": 0.8, "b": 0.2, "c": 0.5}.items():
        record_score(engine, name, "g", {"lesion": mean}, seconds=1.0)
    record_failure(engine, "d", "g", "is truncated", seconds=1.0)
    return engine


@pytest.fixture
def client(tmp_path: Path, project: Project, engine: Engine) -> TestClient:
    studies = tmp_path / "studies"
    for name in "abcd":
        write_image(studies / f"{name}.nii.gz")
    datastore = open_folder(studies)
    (project.workspace.root / "current").write_text("g")
    app = FastAPI()
    scans = IndexedScans(datastore, project.task)
    app.include_router(worklist_router(project, datastore, ScanRegister(scans, project.engine)))
    answer_errors(app)
    return TestClient(app)


def test_an_estimate_of_a_file_that_was_replaced_is_not_shown(
    client: TestClient, engine: Engine, tmp_path: Path
) -> None:
    scored = Scored(stamp_files(tmp_path / "studies" / "b.nii.gz", None), "a digest")
    record_score(engine, "b", "g", {"lesion": 0.2}, seconds=1.0, scored=scored)
    assert client.get("/worklist/").json()["scans"][0]["mean_estimated_dsc"] == 0.2
    write_image(tmp_path / "studies" / "b.nii.gz")
    line = client.get("/worklist/").json()["scans"][0]
    assert (line["id"], line["estimated_dsc"], line["mean_estimated_dsc"]) == ("b", None, None)


def take(client: TestClient, scan: str, annotator: str) -> int:
    return client.post(f"/worklist/lease?image={scan}", json={"client_id": annotator}).status_code


def test_the_least_certain_scan_comes_first_and_broken_ones_last_with_their_reason(client: TestClient) -> None:
    answer = client.get("/worklist/").json()
    assert [(scan["id"], scan["mean_estimated_dsc"]) for scan in answer["scans"]] == [
        ("b", 0.2),
        ("c", 0.5),
        ("a", 0.8),
        ("d", None),
    ]
    assert answer["scans"][0]["estimated_dsc"] == {"lesion": 0.2}
    assert answer["scans"][3]["error"] == "is truncated"
    assert answer["generation"] == "g"
    assert answer["counts"] == {"labelled": 0, "leased": 0, "broken": 1, "free": 3, "total": 4}
    assert answer["message"] == ""


def test_the_list_is_as_long_as_asked_for_and_the_counts_are_of_all(client: TestClient) -> None:
    answer = client.get("/worklist/?limit=1").json()
    assert [scan["id"] for scan in answer["scans"]] == ["b"]
    assert answer["counts"]["total"] == 4


def test_who_has_a_scan_is_shown_to_others_and_to_themselves(client: TestClient) -> None:
    assert take(client, "c", "Dr. Ann (1f)") == 200
    mine = {scan["id"]: scan for scan in client.get("/worklist/?client_id=Dr. Ann (1f)").json()["scans"]}
    theirs = {scan["id"]: scan for scan in client.get("/worklist/?client_id=Bob (2a)").json()["scans"]}
    assert (mine["c"]["leased_to"], mine["c"]["leased_to_you"]) == ("Dr. Ann (1f)", True)
    assert (theirs["c"]["leased_to"], theirs["c"]["leased_to_you"]) == ("Dr. Ann (1f)", False)
    assert theirs["b"]["leased_to"] is None
    assert client.get("/worklist/").json()["counts"]["leased"] == 1


def test_a_scan_that_another_has_is_refused_with_their_name(client: TestClient) -> None:
    assert take(client, "b", "ann") == 200
    answer = client.post("/worklist/lease?image=b", json={"client_id": "bob"})
    assert answer.status_code == 409
    assert answer.json()["detail"]["message"] == "ann has this scan"
    assert take(client, "b", "ann") == 200


def test_a_scan_that_was_given_back_is_free_and_only_its_holder_can_do_that(client: TestClient) -> None:
    take(client, "b", "ann")
    assert client.delete("/worklist/lease?image=b&client_id=bob").json() == {"ended": False}
    assert take(client, "b", "bob") == 409
    assert client.delete("/worklist/lease?image=b&client_id=ann").json() == {"ended": True}
    assert take(client, "b", "bob") == 200


@pytest.mark.parametrize("scan", ["nobody", "a"])
def test_an_unknown_or_labelled_scan_cannot_be_taken(client: TestClient, engine: Engine, scan: str) -> None:
    client.get("/worklist/")  # the list of scans is written once, so that the mark below stays
    mark_labelled(engine, "a")
    assert take(client, scan, "ann") == 404


def test_the_empty_list_says_why(client: TestClient, engine: Engine) -> None:
    client.get("/worklist/")
    for name in "abc":
        mark_labelled(engine, name)
    answer = client.get("/worklist/").json()
    assert answer["counts"]["labelled"] == 3
    assert answer["message"].startswith("All readable scans are labelled (3)")


@pytest.mark.parametrize("body", [{}, {"client_id": ""}])
def test_taking_a_scan_needs_a_name(client: TestClient, body: dict[str, str]) -> None:
    assert client.post("/worklist/lease?image=a", json=body).status_code == 422
