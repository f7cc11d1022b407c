"""Tokens against a realm that is asked over HTTP: its own are taken, and nobody else's."""

import base64
import json
import socket
import time
import types
from collections.abc import Iterator

import jwt
import pytest
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from jwt import jwks_client

from apps.calibrated_ensemble.routes.token_issuer import TokenIssuer, WrongPasswordError
from lib.errors import UnreachableError
from tests.apps.servers.made_up_realm import CLIENT, CONNECT, REALM, MadeUpRealm, new_key
from tests.apps.servers.served_app import ServedApp


@pytest.fixture
def realm() -> MadeUpRealm:
    realm = MadeUpRealm()
    realm.admit("ann", "pass word", ["monailabel-user"])
    return realm


@pytest.fixture
def issuer(realm: MadeUpRealm) -> Iterator[TokenIssuer]:
    with ServedApp(realm.router) as served:
        yield TokenIssuer(f"{served.url}{REALM}/", timeout=10)


def test_a_token_of_the_realm_is_taken_and_its_keys_are_asked_for_once(realm: MadeUpRealm, issuer: TokenIssuer) -> None:
    for _ in range(3):
        assert issuer.claims(realm.token("ann"))["preferred_username"] == "ann"
    assert realm.asked == {f"{REALM}/.well-known/openid-configuration": 1, f"{CONNECT}/certs": 1}


def test_a_token_of_a_new_key_is_taken(
    realm: MadeUpRealm, issuer: TokenIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = realm.token("ann")
    assert issuer.claims(before)
    realm.rotate("second")
    # PyJWT asks again for a key that it does not know after half a minute.
    monkeypatch.setattr(jwks_client, "time", types.SimpleNamespace(monotonic=lambda: time.monotonic() + 60))
    assert issuer.claims(realm.token("ann"))
    assert issuer.claims(before)


def test_a_realm_that_publishes_one_key_alone_is_enough() -> None:
    realm = MadeUpRealm(publishes_keys=False)
    with ServedApp(realm.router) as served:
        issuer = TokenIssuer(f"{served.url}{REALM}", timeout=10)
        assert issuer.claims(realm.token("ann"))["preferred_username"] == "ann"
        with pytest.raises(jwt.InvalidSignatureError):
            issuer.claims(MadeUpRealm().token("ann"))


def test_a_token_that_names_no_key_is_checked_by_the_one_of_the_realm(realm: MadeUpRealm, issuer: TokenIssuer) -> None:
    claims = {"exp": time.time() + 60, "preferred_username": "ann"}
    assert issuer.claims(jwt.encode(claims, realm.keys["first"], "RS256")) == claims
    with pytest.raises(jwt.InvalidSignatureError):
        issuer.claims(jwt.encode(claims, new_key(), "RS256"))


def test_clocks_may_differ_by_some_seconds(realm: MadeUpRealm, issuer: TokenIssuer) -> None:
    now = time.time()
    assert issuer.claims(realm.token("ann", iat=now + 5, nbf=now + 5))
    assert issuer.claims(realm.token("ann", exp=now - 5))


def forged(realm: MadeUpRealm) -> dict[str, str]:
    """Tokens that the realm did not give, or gives no more."""
    mine = realm.token("ann")
    header, body, signature = mine.split(".")
    claims = jwt.decode(mine, options={"verify_signature": False})
    unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "first"}).encode()).decode().rstrip("=")
    pem = f"-----BEGIN PUBLIC KEY-----\n{realm.public_key}\n-----END PUBLIC KEY-----".encode()
    other = json.dumps({**claims, "preferred_username": "bob"}).encode()
    return {
        "ended": realm.token("ann", exp=time.time() - 3600),
        "without an end": realm.token("ann", exp=None),
        "not yet valid": realm.token("ann", nbf=time.time() + 3600),
        "of another key": jwt.encode(claims, new_key(), "RS256", headers={"kid": "first"}),
        "of a key that nobody knows": jwt.encode(claims, new_key(), "RS256", headers={"kid": "nobody's\nkey"}),
        "of the key for encryption": jwt.encode(claims, new_key(), "RS256", headers={"kid": "enc"}),
        "changed": f"{header}.{base64.urlsafe_b64encode(other).decode().rstrip('=')}.{signature}",
        "not signed": f"{unsigned}.{body}.",
        # The public key as a shared secret, with a key named and without.
        "HS256": _with_shared_secret({"kid": "first"}, claims, pem),
        "HS256 of no key": _with_shared_secret({}, claims, pem),
        "no token": "nonsense",
        "empty": "",
        "no JSON": "a.b.c",
        "not ASCII": "é.\n.ÿ",
        "an algorithm that is no text": _with_shared_secret({"kid": "first", "alg": ["RS256"]}, claims, pem),
        "a key that is no text": _with_shared_secret({"kid": 1}, claims, pem),
    }


def _with_shared_secret(header: dict[str, object], claims: dict[str, object], secret: bytes) -> str:
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    parts = [{"alg": "HS256", "typ": "JWT", **header}, claims]
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    return (signed + b"." + base64.urlsafe_b64encode(algorithm.sign(signed, secret)).rstrip(b"=")).decode()


@pytest.mark.parametrize("kind", forged(MadeUpRealm()))
def test_no_other_token_is_taken(realm: MadeUpRealm, issuer: TokenIssuer, kind: str) -> None:
    with pytest.raises(jwt.PyJWTError):
        issuer.claims(forged(realm)[kind])


def test_a_password_becomes_a_token(issuer: TokenIssuer) -> None:
    given = issuer.token("ann", "pass word", client=CLIENT)
    assert given["token_type"] == "Bearer"
    assert issuer.claims(given["access_token"])["preferred_username"] == "ann"


@pytest.mark.parametrize(("name", "password"), [("ann", "wrong"), ("bob", "pass word"), ("ann", " ")])
def test_a_wrong_password_is_told_as_the_realm_tells_it(issuer: TokenIssuer, name: str, password: str) -> None:
    with pytest.raises(WrongPasswordError, match="Invalid user credentials"):
        issuer.token(name, password, client=CLIENT)


def test_a_realm_that_does_not_answer_is_told_in_one_line(realm: MadeUpRealm) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"http://127.0.0.1:{probe.getsockname()[1]}{REALM}"
    issuer = TokenIssuer(url, timeout=5)
    for ask in (lambda: issuer.claims(realm.token("ann")), lambda: issuer.token("ann", "pass word", client=CLIENT)):
        with pytest.raises(UnreachableError, match=r"^the sign-in at .* does not answer as it should") as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_a_page_that_is_no_realm_is_told_in_one_line(realm: MadeUpRealm) -> None:
    router = APIRouter()
    router.add_api_route("/{path:path}", lambda: PlainTextResponse("<html>"), methods=["GET", "POST"])
    with ServedApp(router) as served:
        issuer = TokenIssuer(f"{served.url}{REALM}", timeout=5)
        for ask in (lambda: issuer.claims(realm.token("ann")), lambda: issuer.token("ann", "x", client=CLIENT)):
            with pytest.raises(UnreachableError, match="does not answer as it should"):
                ask()


def test_a_realm_that_comes_back_is_asked_again(realm: MadeUpRealm) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    issuer = TokenIssuer(f"http://127.0.0.1:{port}{REALM}", timeout=5)
    with pytest.raises(UnreachableError):
        issuer.claims(realm.token("ann"))
    with ServedApp(realm.router, port=port):
        assert issuer.claims(realm.token("ann"))
