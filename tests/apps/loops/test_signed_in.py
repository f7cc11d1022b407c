"""The real server with `MONAI_LABEL_AUTH_ENABLE`, a realm that gives tokens, and every route that it has."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests
from fastapi.responses import Response
from monailabel.client.client import MONAILabelClientException
from monailabel.config import settings

from tests.apps.servers.listed_app import LIST
from tests.apps.servers.made_up_pacs import MadeUpPacs
from tests.apps.servers.made_up_realm import REALM, MadeUpRealm
from tests.apps.servers.running_server import RunningServer
from tests.apps.servers.served_app import ServedApp

USER = settings.MONAI_LABEL_AUTH_ROLE_USER
ANNOTATOR = settings.MONAI_LABEL_AUTH_ROLE_ANNOTATOR
ADMIN = settings.MONAI_LABEL_AUTH_ROLE_ADMIN
ROLES = {
    "ann": [USER, ANNOTATOR],
    "reader": [USER],
    "nobody": [],
    "root": [USER, ANNOTATOR, ADMIN, settings.MONAI_LABEL_AUTH_ROLE_REVIEWER],
}

# What the server tells everybody: how to sign in, what its API looks like, and the program of the viewer.
OPEN = {
    "/",
    "/auth/",
    "/auth/token",
    "/docs",
    "/favicon.ico",
    "/openapi.json",
    "/static",
    "/viewer",
    "/viewer/",
    "/viewer/{path:path}",
    "/viewer/{name:path}",
}


@dataclass
class SignedIn:
    """A server that asks for a sign-in, on a PACS that holds nothing."""

    server: RunningServer
    realm: MadeUpRealm
    pacs: MadeUpPacs

    def ask(self, method: str, path: str, name: str | None = None, **options: object) -> requests.Response:
        headers = {} if name is None else {"Authorization": f"Bearer {self.realm.token(name)}"}
        return self.server.request(method, path, headers=headers, allow_redirects=False, **options)

    def routes(self) -> list[tuple[str, str]]:
        """Method and path of every route."""
        listed = self.server.request("GET", LIST).json()
        return [(method, path) for path, methods in listed for method in methods]


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedIn]:
    realm, pacs = MadeUpRealm(), MadeUpPacs()
    for name, roles in ROLES.items():
        realm.admit(name, f"password of {name}", roles)
    for path in ("studies", "series"):
        pacs.answers[path] = Response(b"[]", media_type="application/dicom+json")
    folder = tmp_path_factory.mktemp("signed_in")
    with ServedApp(realm.router) as issuer, ServedApp(pacs.router) as upstream:
        server = RunningServer(
            f"{upstream.url}/pacs/rs",
            folder,
            {"task": "phantom", "workspace": str(folder / "workspace"), "device": "cpu"},
            environment={
                "MONAI_LABEL_AUTH_ENABLE": "true",
                "MONAI_LABEL_AUTH_REALM_URI": f"{issuer.url}{REALM}",
            },
            application="tests.apps.servers.listed_app:app",
        )
        try:
            yield SignedIn(server, realm, pacs)
            server.stop()
        finally:
            server.kill()


def address(path: str) -> str:
    """A path that a route of this pattern answers."""
    return re.sub(r"\{[^}]*\}", "x", path)


def test_without_a_token_every_route_answers_401_but_those_for_everybody(signed_in: SignedIn) -> None:
    routes = signed_in.routes()
    assert {("POST", "/reload"), ("GET", "/info/"), ("GET", "/worklist/"), ("PUT", "/datastore/label")} < set(routes)
    assert ("GET", "/viewer/dicom-web/{path:path}") in routes
    assert len(routes) > 40
    answers = {(method, path): signed_in.ask(method, address(path)).status_code for method, path in routes}
    assert {path for (_, path), status in answers.items() if status != 401} <= OPEN
    assert [route for route, status in answers.items() if route[1] in OPEN and status == 401] == []


def test_a_token_that_is_not_the_realms_is_as_good_as_none(signed_in: SignedIn) -> None:
    other = MadeUpRealm()
    other.admit("root", "", ROLES["root"])
    for method, path in signed_in.routes():
        headers = {"Authorization": f"Bearer {other.token('root')}"}
        status = signed_in.server.request(method, address(path), headers=headers, allow_redirects=False).status_code
        assert path in OPEN or status == 401, (method, path)


def test_a_token_without_a_role_opens_nothing_more_than_itself(signed_in: SignedIn) -> None:
    routes = [(method, path) for method, path in signed_in.routes() if path not in OPEN]
    answers = {(method, path): signed_in.ask(method, address(path), "nobody").status_code for method, path in routes}
    assert answers.pop(("GET", "/auth/token/valid")) == 200
    assert {route: status for route, status in answers.items() if status != 403} == {}


def test_a_token_with_the_roles_reads_on_every_route(signed_in: SignedIn) -> None:
    for method, path in signed_in.routes():
        if method in ("GET", "HEAD"):
            status = signed_in.ask(method, address(path), "root").status_code
            assert status not in (401, 403), (method, path)


@pytest.mark.parametrize(
    ("name", "method", "path", "status"),
    [
        ("reader", "GET", "/info/", 200),
        ("reader", "GET", "/datastore/", 200),
        ("reader", "GET", "/worklist/", 403),
        ("reader", "POST", "/train/ensemble", 403),
        ("reader", "PUT", "/datastore/label?image=x", 403),
        ("reader", "POST", "/reload", 403),
        ("ann", "GET", "/worklist/", 200),
        ("ann", "PUT", "/datastore/label?image=x", 422),
        ("ann", "POST", "/reload", 403),
        ("ann", "GET", "/logs/", 404),
        ("root", "GET", "/logs/", 404),
    ],
)
def test_each_role_opens_what_it_is_for(signed_in: SignedIn, name: str, method: str, path: str, status: int) -> None:
    assert signed_in.ask(method, path, name).status_code == status


def test_slicer_signs_in_with_name_and_password_and_works(signed_in: SignedIn) -> None:
    client = signed_in.server.client("ann's computer")
    assert client.auth_enabled()
    assert not client.auth_valid_token()
    with pytest.raises(MONAILabelClientException, match="401"):
        client.info()
    with pytest.raises(MONAILabelClientException, match=r"Status: 401; Response: .*Invalid user credentials"):
        client.auth_token("ann", "wrong")
    client.update_auth(client.auth_token("ann", "password of ann"))
    assert client.auth_valid_token()
    assert client.info()["labels"]
    with pytest.raises(MONAILabelClientException, match="404"):
        client.next_sample("least_certain", {})  # the PACS holds no scan


def test_the_pacs_never_sees_a_token(signed_in: SignedIn) -> None:
    signed_in.pacs.asked.clear()
    assert signed_in.ask("GET", "/viewer/dicom-web/instances", "ann").status_code == 206
    ((_, path, _, headers),) = [asked for asked in signed_in.pacs.asked if asked[1].endswith(b"instances")]
    assert path == b"/pacs/rs/instances"
    assert "authorization" not in headers


def test_an_administrator_loads_the_app_anew(signed_in: SignedIn) -> None:
    assert signed_in.ask("POST", "/reload", "root").status_code == 200
    assert signed_in.ask("GET", "/info/", "ann").status_code == 200
    assert signed_in.ask("GET", "/info/").status_code == 401
