"""MONAI Label's sign-in, where its own does not work or does not ask.

It calls PyJWT as no release since 2.0 can be called, so that every token is refused, and asks nobody who reloads
the app.
"""

import logging
from collections.abc import Mapping
from typing import Annotated, Any

import jwt
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.routing import APIRoute
from fastapi.security import OAuth2PasswordRequestForm
from monailabel.config import Settings
from monailabel.config import settings as server_settings
from monailabel.endpoints.user.auth import RBAC, Token, User, get_current_user, oauth2_scheme

from apps.calibrated_ensemble.routes.token_issuer import TokenIssuer, WrongPasswordError

logger = logging.getLogger(__name__)

NOT_SIGNED_IN = 401


def sign_in_router(issuer: TokenIssuer) -> APIRouter:
    """Give the route that answers a name and password with a token, to be put before the stock one."""
    router = APIRouter(include_in_schema=False)

    @router.post("/auth/token", response_model=Token)
    def token(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> Any:
        try:
            return issuer.token(form.username, form.password, client=server_settings.MONAI_LABEL_AUTH_CLIENT_ID)
        except WrongPasswordError as error:
            raise HTTPException(NOT_SIGNED_IN, f"the sign-in was refused: {error}") from error

    return router


def check_tokens(server: FastAPI, issuer: TokenIssuer) -> None:
    """Have all routes of a server that ask for a role take the tokens of an issuer."""

    def current_user(token: Annotated[str, Depends(oauth2_scheme)]) -> User:
        try:
            user = user_of(issuer.claims(token), server_settings)
        except jwt.PyJWTError as error:
            # The message may hold parts of the token.
            logger.warning("a token was refused: %s", type(error).__name__)
            raise _not_signed_in(error) from error
        if user is None:
            raise _not_signed_in(None)
        return user

    server.dependency_overrides[get_current_user] = current_user


def guard_reload(server: FastAPI) -> None:
    """Have the stock route that loads the app anew ask for the role of an administrator."""
    role = Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_ADMIN))
    for route in [route for route in server.router.routes if isinstance(route, APIRoute) and route.path == "/reload"]:
        server.router.routes.remove(route)
        server.post(route.path, dependencies=[role], include_in_schema=False)(route.endpoint)


def user_of(claims: Mapping[str, Any], settings: Settings) -> User | None:
    """Give whom a token names, with those roles that are text; None when it names nobody.

    Args:
        claims: of the token.
        settings: where in them the name, address and roles are.
    """
    username = claims.get(settings.MONAI_LABEL_AUTH_TOKEN_USERNAME)
    if not isinstance(username, str) or not username:
        return None
    roles: Any = claims
    for key in settings.MONAI_LABEL_AUTH_TOKEN_ROLES.split("#"):
        roles = roles.get(key) if isinstance(roles, Mapping) else None
    email, name = (
        claims.get(key) for key in (settings.MONAI_LABEL_AUTH_TOKEN_EMAIL, settings.MONAI_LABEL_AUTH_TOKEN_NAME)
    )
    return User(
        username=username,
        email=email if isinstance(email, str) else None,
        name=name if isinstance(name, str) else None,
        roles=[role for role in roles if isinstance(role, str)] if isinstance(roles, list) else [],
    )


def _not_signed_in(error: Exception | None) -> HTTPException:
    why = "has ended" if isinstance(error, jwt.ExpiredSignatureError) else "is not valid"
    return HTTPException(NOT_SIGNED_IN, f"the sign-in {why}; sign in again", headers={"WWW-Authenticate": "Bearer"})
