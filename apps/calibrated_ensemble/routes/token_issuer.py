"""The realm that signs people in: whether a token is its own, and tokens for names and passwords."""

from functools import cached_property
from typing import Any

import jwt
import requests

from lib.errors import UnreachableError

# Made with a private key; where those with a shared secret are taken, the public key can sign.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_CLOCKS_DIFFER_SECONDS = 30


class WrongPasswordError(Exception):
    """The realm gives no token for a name and password; the message is the realm's."""


class TokenIssuer:
    """A realm of Keycloak, or another issuer of OpenID Connect that is described in the same places.

    Args:
        realm: its URL.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, realm: str, *, timeout: float):
        self._realm = realm.rstrip("/")
        self._timeout = timeout

    def claims(self, token: str) -> dict[str, Any]:
        """What a token says, when it is the realm's and has not ended.

        Raises:
            jwt.PyJWTError: it is not.
            UnreachableError: the realm's keys cannot be had.
        """
        options: Any = {"require": ["exp"], "verify_aud": False}
        key = self._key(jwt.get_unverified_header(token).get("kid"))
        return jwt.decode(token, key, algorithms=_ALGORITHMS, options=options, leeway=_CLOCKS_DIFFER_SECONDS)

    def token(self, username: str, password: str, *, client: str) -> dict[str, Any]:
        """Ask for a token: `access_token`, `token_type` and what the realm says besides.

        Args:
            username: of who signs in.
            password: theirs.
            client: by which name the realm knows this server.

        Raises:
            WrongPasswordError: the realm refuses.
            UnreachableError: it does not answer as an issuer does.
        """
        url = self._configuration.get("token_endpoint")
        if not url:
            raise self._not_answered("it names no token_endpoint")
        form = {"client_id": client, "username": username, "password": password, "grant_type": "password"}
        answer = self._ask("POST", url, data=form)
        said = _json_object(answer)
        if answer.status_code in (400, 401, 403):
            raise WrongPasswordError(str(said.get("error_description") or said.get("error") or answer.reason))
        if not answer.ok or "access_token" not in said:
            raise self._not_answered(f"status {answer.status_code}")
        return said

    def _key(self, name: str | None) -> jwt.PyJWK | str:
        keys = self._published_keys
        if name is None or keys is None:
            return self._realm_key
        try:
            return keys.get_signing_key(name)
        except (jwt.PyJWKClientConnectionError, OSError, ValueError) as error:
            raise self._not_answered(error) from error

    @cached_property
    def _published_keys(self) -> jwt.PyJWKClient | None:
        """Asks again when a token names a key that is new."""
        url = self._configuration.get("jwks_uri")
        return jwt.PyJWKClient(url, timeout=self._timeout) if url else None

    @cached_property
    def _configuration(self) -> dict[str, Any]:
        answer = self._ask("GET", f"{self._realm}/.well-known/openid-configuration")
        if answer.status_code >= 500:
            raise self._not_answered(f"status {answer.status_code}")
        return _json_object(answer) if answer.ok else {}

    @cached_property
    def _realm_key(self) -> str:
        """The one key of a realm, for tokens that name none."""
        key = _json_object(self._ask("GET", self._realm)).get("public_key")
        if not key:
            raise self._not_answered("it names no public_key")
        return f"-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----"

    def _ask(self, method: str, url: str, **options: Any) -> requests.Response:
        try:
            return requests.request(method, url, timeout=self._timeout, **options)
        except requests.RequestException as error:
            raise self._not_answered(type(error).__name__) from error

    def _not_answered(self, why: object) -> UnreachableError:
        return UnreachableError(f"the sign-in at {self._realm} does not answer as it should ({why}); try again later")


def _json_object(answer: requests.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
