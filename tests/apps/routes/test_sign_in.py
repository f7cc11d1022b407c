"""Roles of a token, and what those without one are answered."""

import logging
from collections.abc import Iterator

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.testclient import TestClient
from monailabel.config import Settings, settings
from monailabel.endpoints.user.auth import RBAC, User

from apps.calibrated_ensemble.http_errors import answer_errors
from apps.calibrated_ensemble.routes.sign_in import check_tokens, guard_reload, sign_in_router, user_of
from apps.calibrated_ensemble.routes.token_issuer import TokenIssuer
from tests.apps.servers.made_up_realm import REALM, MadeUpRealm
from tests.apps.servers.served_app import ServedApp


@pytest.fixture
def realm() -> MadeUpRealm:
    realm = MadeUpRealm()
    realm.admit("ann", "pass word", [settings.MONAI_LABEL_AUTH_ROLE_USER])
    realm.admit("root", "toor", [settings.MONAI_LABEL_AUTH_ROLE_ADMIN])
    return realm


@pytest.fixture
def client(realm: MadeUpRealm, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(settings, "MONAI_LABEL_AUTH_ENABLE", True)
    app = FastAPI()

    def me(user: User = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))) -> User:  # noqa: B008
        return user

    inner = APIRouter()
    inner.add_api_route("/me", me)
    app.include_router(inner)
    app.post("/reload")(lambda: "reloaded")
    with ServedApp(realm.router) as served:
        issuer = TokenIssuer(f"{served.url}{REALM}", timeout=10)
        app.include_router(sign_in_router(issuer))
        check_tokens(app, issuer)
        guard_reload(app)
        answer_errors(app)
        with TestClient(app) as client:
            yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_who_signs_in_is_known_by_name_and_roles(client: TestClient, realm: MadeUpRealm) -> None:
    form = {"username": "ann", "password": "pass word"}
    given = client.post("/auth/token", data=form).json()
    assert given.keys() == {"access_token", "token_type"}
    assert client.get("/me", headers=bearer(given["access_token"])).json() == {
        "username": "ann",
        "email": "ann@clinic.example",
        "name": "Ann",
        "roles": ["offline_access", settings.MONAI_LABEL_AUTH_ROLE_USER],
    }


def test_a_wrong_password_is_401_in_one_line(client: TestClient) -> None:
    answer = client.post("/auth/token", data={"username": "ann", "password": "x"})
    assert (answer.status_code, answer.json()) == (
        401,
        {"detail": "the sign-in was refused: Invalid user credentials"},
    )


def test_without_a_valid_token_nobody_gets_in_and_no_part_of_one_is_logged(
    client: TestClient, realm: MadeUpRealm, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ended = client.get("/me", headers=bearer(realm.token("ann", exp=1)))
    assert (ended.status_code, ended.json()["detail"]) == (401, "the sign-in has ended; sign in again")
    wrong = client.get("/me", headers=bearer("secret.part.x"))
    assert (wrong.status_code, wrong.json()["detail"]) == (401, "the sign-in is not valid; sign in again")
    nobody = client.get("/me", headers=bearer(realm.token("ann", preferred_username=None)))
    assert (nobody.status_code, nobody.json()["detail"]) == (401, "the sign-in is not valid; sign in again")
    assert {answer.headers["www-authenticate"] for answer in (ended, wrong, nobody)} == {"Bearer"}
    assert client.get("/me").status_code == 401
    assert "secret" not in caplog.text


def test_a_token_without_the_role_is_403(client: TestClient, realm: MadeUpRealm) -> None:
    assert client.get("/me", headers=bearer(realm.token("root"))).status_code == 403
    assert client.get("/me", headers=bearer(realm.token("ann", realm_access=None))).status_code == 403


def test_reloading_is_for_administrators(client: TestClient, realm: MadeUpRealm) -> None:
    assert client.post("/reload").status_code == 401
    assert client.post("/reload", headers=bearer(realm.token("ann"))).status_code == 403
    assert client.post("/reload", headers=bearer(realm.token("root"))).json() == "reloaded"


def test_a_realm_that_is_away_is_503(realm: MadeUpRealm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MONAI_LABEL_AUTH_ENABLE", True)
    app = FastAPI()
    app.get("/me", dependencies=[Depends(RBAC("x"))])(lambda: None)
    check_tokens(app, TokenIssuer("http://127.0.0.1:1/realms/clinic", timeout=2))
    answer_errors(app)
    answer = TestClient(app).get("/me", headers=bearer(realm.token("ann")))
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("the sign-in at http://127.0.0.1:1/realms/clinic does not answer")


@pytest.mark.parametrize(
    "roles",
    [
        None,
        {},
        {"realm_access": None},
        {"realm_access": []},
        {"realm_access": {"roles": None}},
        {"realm_access": {"roles": "admin"}},
        {"realm_access": {"roles": {"admin": 1}}},
        {"realm_access": {"roles": [1, None, ["admin"]]}},
    ],
)
def test_roles_of_another_shape_are_none(roles: dict[str, object] | None) -> None:
    user = user_of({"preferred_username": "ann", **(roles or {})}, Settings())
    assert user is not None
    assert user.roles == []


def test_where_name_and_roles_are_is_set() -> None:
    chosen = Settings(MONAI_LABEL_AUTH_TOKEN_ROLES="a#b#c", MONAI_LABEL_AUTH_TOKEN_USERNAME="upn")
    user = user_of({"upn": "ann", "a": {"b": {"c": ["x"]}}, "email": 7}, chosen)
    assert user == User(username="ann", roles=["x"])
    flat = user_of(
        {"upn": "ann", "groups": ["y"]}, chosen.model_copy(update={"MONAI_LABEL_AUTH_TOKEN_ROLES": "groups"})
    )
    assert flat is not None
    assert flat.roles == ["y"]


@pytest.mark.parametrize("name", [None, "", 7, ["ann"]])
def test_a_token_that_names_nobody_is_nobody(name: object) -> None:
    assert user_of({"preferred_username": name}, Settings()) is None
