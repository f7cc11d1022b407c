"""Which pages may talk to the server: what browsers say of them, and what programs leave out."""

import socket
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.middleware import Middleware
from fastapi.middleware.cors import CORSMiddleware
from fastapi.testclient import TestClient
from starlette.datastructures import Headers

from apps.calibrated_ensemble.routes.callers import admit_known_callers, known_names, origin_of, why_refused

HOSTS = frozenset({"localhost", "scans", "*.clinic.example"})
OHIF = "https://ohif.clinic.example:3000"
HERE = "127.0.0.1:8000"
WRITING = ("POST", "PUT", "DELETE", "PATCH", "OPTIONS")


def status(method: str = "POST", **headers: str) -> int:
    """What a request is answered, 200 for one that is let through; `_` stands for `-`."""
    given = {"Host": HERE, **{name.replace("_", "-"): value for name, value in headers.items()}}
    refused = why_refused(method, Headers(given), hosts=HOSTS, origins=frozenset({OHIF}))
    if refused is None:
        return 200
    assert "\n" not in refused[1]
    return refused[0]


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:8000",
        "localhost.",
        "scans:8000",
        "a.clinic.example",
        "a.b.clinic.example:443",
        "127.0.0.1:8000",
        "10.1.2.3",
        "[::1]:8000",
        "[fe80::1]",
    ],
)
def test_known_names_and_addresses_in_digits_are_hosts(host: str) -> None:
    assert status("GET", Host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "clinic.example",
        "evilclinic.example",
        "127.0.0.1.evil.example",
        "scans@evil.example",
        "evil.example/scans",
        "localhost:8000:1",
        "[::1",
        "[::g]",
        "2130706433",
        "localhost,evil.example",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_other_name_is_a_host(host: str, method: str) -> None:
    assert status(method, Host=host) == 400
    # A page under a name that leads here can send all that a page of ours can.
    assert status(method, Host=host, Origin=f"http://{host}", Sec_Fetch_Site="same-origin") == 400
    assert status(method, Host=host, X_Forwarded_Host="localhost") == 400


@pytest.mark.parametrize("method", ["GET", "HEAD", *WRITING])
def test_programs_that_send_no_origin_are_let_through(method: str) -> None:
    assert status(method) == 200


@pytest.mark.parametrize("method", ["GET", *WRITING])
@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (HERE, f"http://{HERE}"),
        (HERE, f"HTTP://{HERE}"),
        ("scans", "http://scans"),
        ("scans:443", "https://scans"),
        ("scans", "https://scans"),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_pages_of_the_server_are_let_through(host: str, origin: str, method: str) -> None:
    assert status(method, Host=host, Origin=origin) == 200
    assert status(method, Host=host, Origin=origin, Sec_Fetch_Site="same-origin") == 200


@pytest.mark.parametrize("method", ["GET", *WRITING])
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1:8001",
        "http://127.0.0.1",
        "http://localhost:8000",
        "http://127.0.0.1:8000.evil.example",
        "http://ohif.clinic.example:3000",
        "https://ohif.clinic.example",
        "file://",
        "null",
        "127.0.0.1:8000",
        "chrome-extension://127.0.0.1:8000",
    ],
)
def test_a_page_of_any_other_origin_is_refused(origin: str, method: str) -> None:
    assert status(method, Origin=origin) == 403
    for site in ("cross-site", "same-site"):
        assert status(method, Origin=origin, Sec_Fetch_Site=site) == 403
        assert status(method, Sec_Fetch_Site=site) == 403


def test_a_page_cannot_get_in_by_what_it_can_set() -> None:
    assert status(Origin="http://evil.example", X_Forwarded_Host="evil.example") == 400
    assert status(Origin="http://evil.example", X_Requested_With="XMLHttpRequest") == 403
    assert status(Origin="http://evil.example", Content_Type="application/json") == 403


def test_a_link_may_be_followed_and_nothing_else_be_shown() -> None:
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert status("GET", **link) == 200
    assert status("POST", **link, Origin="http://evil.example") == 403
    for destination in ("iframe", "object", "embed", "frame", "image", "script", "empty"):
        assert status("GET", **link | {"Sec_Fetch_Dest": destination}) == 403
    assert status("GET", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image") == 403
    assert status("GET", Sec_Fetch_Site="none", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document") == 200


def test_a_page_of_a_named_server_is_let_through() -> None:
    for method in ("GET", *WRITING):
        assert status(method, Origin=OHIF, Sec_Fetch_Site="cross-site") == 200
        assert status(method, Origin=OHIF) == 200


def test_behind_a_proxy_the_pages_are_those_of_the_name_that_it_forwards() -> None:
    proxied = {"Host": HERE, "X_Forwarded_Host": "a.clinic.example"}
    assert status(**proxied, Origin="https://a.clinic.example") == 200
    assert status(**proxied, Origin="https://b.clinic.example") == 403
    assert status(**proxied | {"X_Forwarded_Host": "evil.example"}, Origin="https://evil.example") == 400
    assert status(Host=HERE, X_Forwarded_Host="scans, a.clinic.example", Origin="https://scans") == 200
    assert status(Host=HERE, X_Forwarded_Host="scans, evil.example") == 400
    # One that says nothing of the name: the browser does, over TLS.
    assert status(Host=HERE, Origin="https://a.clinic.example", Sec_Fetch_Site="same-origin") == 200


def test_the_machine_knows_its_own_name_and_those_it_is_told() -> None:
    name = socket.gethostname().lower()
    assert {"localhost", name, name.split(".")[0]} == known_names()
    assert known_names(["Scans.Clinic.Example."]) - known_names() == {"scans.clinic.example"}


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://ohif:3000", "http://ohif:3000"),
        ("http://OHIF:80/", "http://ohif"),
        ("https://ohif:443", "https://ohif"),
        ("http://[::1]:3000/", "http://[::1]:3000"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI(middleware=[Middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True)])

    @app.api_route("/", methods=["GET", "PUT"])
    def hello() -> dict[str, str]:
        return {"hello": "you"}

    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url=f"http://{HERE}") as client:
        assert client.get("/", headers={"Origin": "http://evil.example"}).headers["access-control-allow-origin"]
        admit_known_callers(app, hosts=["scans"], origins=[f"{OHIF}/"])
        app.middleware_stack = app.build_middleware_stack()
        yield client


def test_the_leave_for_every_page_is_gone(app: FastAPI) -> None:
    admit_known_callers(app, hosts=[], origins=[])
    with TestClient(app, base_url=f"http://{HERE}") as client:
        for origin in ("http://evil.example", OHIF, f"http://{HERE}"):
            answer = client.get("/", headers={"Origin": origin})
            assert answer.status_code == (200 if origin == f"http://{HERE}" else 403)
            assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_named_server_is_told_that_its_pages_may_read_and_write(client: TestClient) -> None:
    asked = {"Origin": OHIF, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
    leave = client.options("/", headers=asked)
    assert leave.status_code == 200
    assert leave.headers["access-control-allow-origin"] == OHIF
    assert "PUT" in leave.headers["access-control-allow-methods"]
    assert "authorization" in leave.headers["access-control-allow-headers"]
    answer = client.put("/", headers={"Origin": OHIF})
    assert answer.json() == {"hello": "you"}
    assert answer.headers["access-control-allow-origin"] == OHIF
    assert "Origin" in answer.headers["vary"]


def test_a_refusal_is_one_line_of_json_without_leave_to_read_it(client: TestClient) -> None:
    answer = client.options("/", headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "PUT"})
    assert answer.status_code == 403
    assert answer.json() == {
        "detail": "a page of http://evil.example may not use this server; "
        "CALIBRATED_ENSEMBLE_ALLOWED_ORIGINS names those that may"
    }
    assert not [name for name in answer.headers if name.startswith("access-control")]
    answer = client.get("/", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("host 'evil.example': is no known name of this server; ")
    assert "CALIBRATED_ENSEMBLE_ALLOWED_HOSTS" in answer.json()["detail"]


def test_every_answer_says_that_no_other_page_may_show_it(client: TestClient) -> None:
    for answer in (client.get("/"), client.get("/nothing"), client.get("/", headers={"Origin": "null"})):
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
