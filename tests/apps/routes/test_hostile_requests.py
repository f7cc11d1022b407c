"""Thirty hostile values and more for every parameter of every route that the server has, MONAI Label's own too."""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from monailabel.utils.async_tasks.task import AsyncTask

from tests.apps.routes.hostile import BODIES, FORGED, NAMES, VALUES, Answer, faults, forged_lines
from tests.apps.servers.in_process_server import serving
from tests.tiny_studies import TinyStudies, copy_trained_studies

# These end or change the server itself, take no value, or belong to a PACS that is not there.
_LEFT_OUT = {"/reload", "/proxy/dicom/{path:path}"}
_TAKES_NO_SCAN = ("/proxy/",)

_LABELS = "/datastore/label"

_TEXTS = {"image", "id", "label", "tag", "model", "method", "strategy", "session_id", "client_id", "check_sum", "name"}


@dataclass
class Attacked:
    """A server, its log, and what is known of its studies."""

    client: TestClient
    studies: TinyStudies
    folders: list[str]
    log: io.StringIO
    started: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, method: str, path: str, **options: Any) -> Answer:
        answer = self.client.request(method, path, follow_redirects=False, **options)
        return Answer(f"{method} {path[:200]} {str(options)[:200]}", answer.status_code, answer.text)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    root = tmp_path_factory.mktemp("attacked")
    studies = copy_trained_studies(tmp_path_factory, root)
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("[%(asctime)s] [%(levelname)s] (%(name)s:%(lineno)d) - %(message)s"))
    started: list[dict[str, Any]] = []

    def note(method: str, request: dict[str, Any], **options: Any) -> tuple[dict[str, Any], None]:
        started.append({"method": method, **request})
        return {"id": "1", "status": "SUBMITTED", "request": request}, None

    conf = {"task": str(studies.task), "device": "cpu", "stock_routes": "session,upload"}
    logging.getLogger().addHandler(handler)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.INFO)
    try:
        with pytest.MonkeyPatch.context() as patch, serving(studies.folder, conf) as client:
            patch.setattr(AsyncTask, "run", staticmethod(note))
            folders = [str(root), str(Path(__file__).parents[3])]
            yield Attacked(client, studies, folders, log, started)
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger().setLevel(level)


@dataclass(frozen=True)
class Route:
    """A route and the parameters that it takes."""

    method: str
    path: str
    path_names: tuple[str, ...]
    query_names: tuple[str, ...]
    body: tuple[tuple[str, str], ...]


def routes_of(client: TestClient) -> list[Route]:
    def walk(routes: list[Any]) -> Iterator[Any]:
        for route in routes:
            if hasattr(route, "effective_candidates"):
                yield from walk(route.effective_candidates())
            else:
                yield route

    found: dict[tuple[str, str], Route] = {}
    for route in walk(client.app.router.routes):  # type: ignore[attr-defined]
        dependant = getattr(route, "dependant", None)
        if dependant is None or route.path in _LEFT_OUT or route.path.startswith(_TAKES_NO_SCAN):
            continue
        names = tuple(one.name for one in dependant.path_params) or tuple(_names_in(route.path))
        query = tuple(one.name for one in dependant.query_params)
        body = tuple((one.name, type(one.field_info).__name__) for one in dependant.body_params)
        for method in sorted(route.methods):
            # The first of several routes of one method and path is the one that answers.
            address = method, re.sub(r"\{[^}]*\}", "{}", route.path)
            found.setdefault(address, Route(method, route.path, names, query, body))
    return [route for route in found.values() if "{rest" not in route.path or route.method in ("GET", "PUT")]


def _names_in(path: str) -> list[str]:
    return [part.strip("{}").split(":")[0] for part in path.split("/") if part.startswith("{")]


def in_path(route: Route, values: dict[str, str]) -> str:
    path = route.path
    for name in route.path_names:
        for form in (f"{{{name}:path}}", f"{{{name}}}"):
            path = path.replace(form, values[name])
    return path


def encoded(value: str) -> str:
    """As an attacker writes it: every byte that could be taken for anything else is escaped."""
    return quote(value.encode("utf-8", "surrogatepass"), safe="")


def good_values(attacked: Attacked) -> dict[str, str]:
    scan = attacked.studies.labelled[0]
    return {
        "image": scan,
        "id": "nobody",
        "label": scan,
        "tag": "final",
        "model": "calibrated_ensemble",
        "strategy": "random",
        "method": "estimated_dsc",
        "session_id": "",
        "client_id": "ann",
        "output": "json",
    }


def body_of(route: Route, scan: bytes) -> dict[str, Any]:
    """A body that would be right."""
    kinds = {kind for _, kind in route.body}
    if "File" in kinds or "Form" in kinds:
        files = {name: ("a.nii.gz", scan) for name, kind in route.body if kind == "File" and name != "label"}
        if route.path == _LABELS:
            files = {"label": ("a.nii.gz", b"no label")}
        return {"files": files, "data": {name: "{}" for name, kind in route.body if kind == "Form"}}
    return {"json": {"client_id": "ann"}} if route.body else {}


def some_values(start: int) -> list[Any]:
    """All JSON values and every fourth name, others for each key."""
    return [*VALUES, *NAMES[start % 4 :: 4]]


@pytest.fixture
def check(attacked: Attacked) -> Iterator[Callable[[Answer], None]]:
    wrong: list[str] = []
    attacked.log.truncate(0)
    attacked.log.seek(0)

    def check(answer: Answer) -> None:
        wrong.extend(
            f"{fault}: {answer.asked} -> {answer.status} {answer.text[:300]}"
            for fault in faults(answer, attacked.folders)
        )

    yield check
    log = attacked.log.getvalue()
    assert wrong == []
    assert forged_lines(log) == []
    assert "Traceback" not in log
    assert "--- Logging error" not in log


def test_no_hostile_name_in_a_path_or_query_is_an_error_of_the_server(
    attacked: Attacked, check: Callable[[Answer], None]
) -> None:
    good = good_values(attacked)
    scan = attacked.studies.phantoms[0].scan.read_bytes()
    routes = routes_of(attacked.client)
    assert len(routes) > 40
    asked = 0
    for route in routes:
        body = body_of(route, scan)
        for wrong in (*route.path_names, *route.query_names):
            # What is no text is refused alike on every route.
            for value in NAMES if wrong in _TEXTS else NAMES[::9]:
                path = in_path(
                    route, {**{name: good.get(name, "x") for name in route.path_names}, wrong: encoded(value)}
                )
                query = {name: good[name] for name in route.query_names if name in good}
                query |= {wrong: value} if wrong in route.query_names else {}
                text = "&".join(f"{name}={encoded(one)}" for name, one in query.items())
                check(attacked.ask(route.method, f"{path}?{text}", **body))
                asked += 1
    assert asked > 30 * 30


def test_no_hostile_field_of_a_form_is_an_error_of_the_server(
    attacked: Attacked, check: Callable[[Answer], None]
) -> None:
    good = good_values(attacked)
    scan = attacked.studies.phantoms[0].scan.read_bytes()
    of_infer = ("class", "levels", "result_dtype", "result_extension", "label_tag", "save_label", "region", "timeout")
    keys = {"/infer/{model}": (*of_infer, "image", "session"), _LABELS: ("client_id", "label_info", "user")}
    for route in routes_of(attacked.client):
        for name in (name for name, kind in route.body if kind == "Form"):
            path = in_path(route, {one: good.get(one, "x") for one in route.path_names})
            query = {one: good[one] for one in route.query_names if one in good}
            body = body_of(route, scan)
            if route.path == "/infer/{model}":
                body["files"] = {}
            chosen = keys.get(route.path, ("client_id",))
            objects = [json.dumps({key: value}) for number, key in enumerate(chosen) for value in some_values(number)]
            for text in (*objects, *NAMES[::5], *(one.decode("latin-1") for one in BODIES)):
                files = {**body["files"], name: (None, text.encode("utf-8", "surrogatepass"))}
                check(attacked.ask(route.method, path, params=query, files=files))


def test_no_hostile_body_is_an_error_of_the_server(attacked: Attacked, check: Callable[[Answer], None]) -> None:
    good = good_values(attacked)
    keys = ("client_id", "strategy", "label_tag", "gpus", "device", "bundle_path", "max_workers", "model", "name")
    objects = [json.dumps({key: value}).encode() for number, key in enumerate(keys) for value in some_values(number)]
    headers = {"Content-Type": "application/json"}
    for route in routes_of(attacked.client):
        if not any(kind == "Body" for _, kind in route.body):
            continue
        path = in_path(route, {one: good.get(one, "x") for one in route.path_names})
        query = {one: good[one] for one in route.query_names if one in good}
        for body in (*objects, *BODIES):
            check(attacked.ask(route.method, path, params=query, content=body, headers=headers))


def test_no_hostile_name_of_a_file_is_an_error_of_the_server(
    attacked: Attacked, check: Callable[[Answer], None]
) -> None:
    good = good_values(attacked)
    scan = attacked.studies.phantoms[0].scan.read_bytes()
    for route in routes_of(attacked.client):
        for field_name in (name for name, kind in route.body if kind == "File"):
            path = in_path(route, {one: good.get(one, "x") for one in route.path_names})
            query = {one: good[one] for one in route.query_names if one in good and one != "image"}
            query |= {"image": "a new one"} if route.method == "PUT" else {"image": ""}
            for value in NAMES:
                name = (
                    value.encode("utf-8", "surrogatepass")
                    .replace(b'"', b"%22")
                    .replace(b"\r", b"%0D")
                    .replace(b"\n", b"%0A")
                )
                for suffix in (b"", b".nii.gz"):
                    boundary = b'--b\r\nContent-Disposition: form-data; name="' + field_name.encode()
                    content = boundary + b'"; filename="' + name + suffix + b'"\r\n\r\n' + scan[:500] + b"\r\n--b--\r\n"
                    headers = {"Content-Type": "multipart/form-data; boundary=b"}
                    check(attacked.ask(route.method, path, params=query, content=content, headers=headers))


def test_what_is_sent_in_good_faith_is_answered(attacked: Attacked) -> None:
    good = good_values(attacked)
    params = {"image": good["image"], "output": "json"}
    assert attacked.client.post(f"/infer/{good['model']}", params=params).status_code == 200
    assert attacked.client.post("/activelearning/random", json={"client_id": "ann"}).status_code in (200, 404)
    assert attacked.client.get("/worklist/").status_code == 200
    session = attacked.client.put("/session/", files={"files": ("a.nii.gz", b"x")})
    assert session.status_code == 200


def test_nothing_that_was_not_asked_for_by_its_name_was_started(attacked: Attacked) -> None:
    attacked.started.clear()
    for path in ("/train/nobody", "/scoring/nobody", "/batch/infer/nobody", f"/train/{quote(FORGED)}"):
        answer = attacked.client.post(path, json={})
        assert answer.status_code == 404, path
    assert attacked.started == []
    sent = {"bundle_path": "/tmp/evil", "gpus": "0", "model": "other"}
    assert attacked.client.post("/train/ensemble", json=sent).status_code == 200
    assert attacked.started == [{"method": "train", "model": "ensemble"}]
