"""An issuer of tokens in the shape of Keycloak: a realm, its keys, and tokens that are signed with them."""

import base64
import time
from collections.abc import Iterable
from typing import Annotated, Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse

REALM = "/realms/clinic"
CONNECT = f"{REALM}/protocol/openid-connect"
CLIENT = "monailabel-app"


class MadeUpRealm:
    """Keys, and what they sign; its routes answer as Keycloak 26 does.

    Args:
        publishes_keys: whether it has a set of keys, as OpenID Connect asks for.

    Attributes:
        passwords: of those who can sign in, by name.
        roles: theirs, by name.
        asked: how often each path was asked for.
    """

    def __init__(self, *, publishes_keys: bool = True) -> None:
        self._publishes_keys = publishes_keys
        self.keys = {"first": new_key()}
        self.signing = "first"
        self.passwords: dict[str, str] = {}
        self.roles: dict[str, list[str]] = {}
        self.asked: dict[str, int] = {}
        self.router = APIRouter()
        self.router.add_api_route(REALM, self._realm)
        self.router.add_api_route(f"{REALM}/.well-known/openid-configuration", self._configuration)
        self.router.add_api_route(f"{CONNECT}/certs", self._certs)
        self.router.add_api_route(f"{CONNECT}/token", self._token, methods=["POST"])

    def admit(self, name: str, password: str, roles: Iterable[str]) -> None:
        self.passwords[name], self.roles[name] = password, list(roles)

    def token(self, name: str, **changes: Any) -> str:
        """A token for somebody; `changes` of its claims, None takes one out."""
        claims = {**self._claims(name), **changes}
        claims = {key: value for key, value in claims.items() if value is not None}
        return jwt.encode(claims, self.keys[self.signing], algorithm="RS256", headers={"kid": self.signing})

    def rotate(self, name: str) -> None:
        """Sign with a new key from now on; the old one is still published."""
        self.keys[name], self.signing = new_key(), name

    @property
    def public_key(self) -> str:
        """Of the key that signs, as the realm's page gives it."""
        key = self.keys[self.signing].public_key()
        return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()

    def _claims(self, name: str) -> dict[str, Any]:
        now = int(time.time())
        return {
            "exp": now + 300,
            "iat": now,
            "jti": f"onrtro:{now}",
            "iss": f"https://sign-in.clinic.example{REALM}",
            "aud": "account",
            "sub": "6f0a3c4e-0d4e-4c0e-9f6f-2f1d6f6b7c11",
            "typ": "Bearer",
            "azp": CLIENT,
            "realm_access": {"roles": ["offline_access", *self.roles.get(name, [])]},
            "scope": "profile email",
            "name": name.title(),
            "preferred_username": name,
            "email": f"{name}@clinic.example",
        }

    def _note(self, request: Request) -> None:
        self.asked[request.url.path] = self.asked.get(request.url.path, 0) + 1

    def _realm(self, request: Request) -> dict[str, Any]:
        self._note(request)
        base = str(request.base_url).rstrip("/")
        return {"realm": "clinic", "public_key": self.public_key, "token-service": f"{base}{CONNECT}"}

    def _configuration(self, request: Request) -> dict[str, Any]:
        self._note(request)
        base = str(request.base_url).rstrip("/")
        named = {"issuer": f"{base}{REALM}", "token_endpoint": f"{base}{CONNECT}/token"}
        return named | ({"jwks_uri": f"{base}{CONNECT}/certs"} if self._publishes_keys else {})

    def _certs(self, request: Request) -> dict[str, Any]:
        self._note(request)
        algorithm = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256)
        named = [
            algorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": name, "use": "sig", "alg": "RS256"}
            for name, key in self.keys.items()
        ]
        # Keycloak lists a key for encryption first.
        encryption = algorithm.to_jwk(new_key().public_key(), as_dict=True)
        return {"keys": [encryption | {"kid": "enc", "use": "enc", "alg": "RSA-OAEP"}, *named]}

    def _token(
        self,
        client_id: Annotated[str, Form()],
        username: Annotated[str, Form()],
        password: Annotated[str, Form()],
        grant_type: Annotated[str, Form()],
    ) -> JSONResponse:
        if client_id != CLIENT or grant_type != "password":
            return JSONResponse({"error": "invalid_client"}, 401)
        if self.passwords.get(username) != password:
            return JSONResponse({"error": "invalid_grant", "error_description": "Invalid user credentials"}, 401)
        given = {"access_token": self.token(username), "expires_in": 300, "refresh_token": "x", "token_type": "Bearer"}
        return JSONResponse(given)


def new_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)
