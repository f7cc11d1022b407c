"""Which web pages may talk to the server: its own, under names that are known to be its own, and those that are named.

A browser sends requests for any page that a person has open, to servers that only this person can reach as well. It
says for whom: `Sec-Fetch-Site` (over TLS, and to the machine itself) and `Origin` (always with what may write) cannot
be set by a page. Programs such as 3D Slicer send neither, and are not asked for them.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping

from fastapi import FastAPI
from fastapi.middleware import Middleware
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNKNOWN_HOST = 400
FOREIGN_PAGE = 403

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

# For browsers that send no `Sec-Fetch-Site`: another page can neither show, frame nor measure an answer.
_ANSWER_HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}


def admit_known_callers(server: FastAPI, *, hosts: Iterable[str], origins: Iterable[str]) -> None:
    """Have a server answer known callers alone, in the place of MONAI Label's leave for every page.

    Args:
        server: its middleware must be made up again when it has started.
        hosts: more names of the server, beside those of `known_names`; `*.example.org` is every name below.
        origins: other servers whose pages may read and write here.
    """
    named = [origin_of(url) for url in origins]
    others = [middleware for middleware in server.user_middleware if middleware.cls is not CORSMiddleware]
    ours = [Middleware(KnownCallers, hosts=frozenset(known_names(hosts)), origins=frozenset(named))]
    if named:
        every = ["*"]
        ours.append(
            Middleware(
                CORSMiddleware, allow_origins=named, allow_credentials=True, allow_methods=every, allow_headers=every
            )
        )
    server.user_middleware[:] = [*ours, *others]


def known_names(more: Iterable[str] = ()) -> set[str]:
    """Names, in small letters, under which this machine is known to be reached; addresses in digits always are."""
    machine = socket.gethostname().lower()
    return {"localhost", machine, machine.partition(".")[0], *(name.lower().rstrip(".") for name in more)}


def origin_of(url: str) -> str:
    """Give an origin as a browser writes it: in small letters, without a slash, and without the usual port."""
    scheme, _, place = url.lower().rstrip("/").partition("://")
    return f"{scheme}://{place.removesuffix(_DEFAULT_PORTS[scheme])}"


class KnownCallers:
    """Middleware that refuses what `why_refused` says, before anything else is done with a request.

    Args:
        app: asked for the rest.
        hosts: names of the server.
        origins: other servers whose pages may talk to it.
    """

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str], origins: frozenset[str]):
        self._app = app
        self._hosts = hosts
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or ask the app to."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ANSWER_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = why_refused(scope["method"], Headers(scope=scope), hosts=self._hosts, origins=self._origins)
        answer = JSONResponse({"detail": refused[1]}, refused[0]) if refused else self._app
        await answer(scope, receive, send_with_headers)


def why_refused(
    method: str, headers: Mapping[str, str], *, hosts: frozenset[str], origins: frozenset[str]
) -> tuple[int, str] | None:
    """Give the status and the message of a refusal; None for a caller that is known.

    A name that is not the server's is one that somebody made lead here (DNS rebinding), so that their page has the
    server's origin. What another page may do is follow a link to one of ours.

    Args:
        method: of the request.
        headers: of the request; names in any case.
        hosts: names of the server, in small letters.
        origins: other servers whose pages may talk to it, as browsers write them.
    """
    forwarded = filter(None, map(str.strip, headers.get("X-Forwarded-Host", "").split(",")))
    places = [place.lower() for place in (headers.get("Host", ""), *forwarded)]
    for place in places:
        if not _is_known(place, hosts):
            known = "open it under another name, or add this one to CALIBRATED_ENSEMBLE_ALLOWED_HOSTS"
            return UNKNOWN_HOST, f"host {place!r}: is no known name of this server; {known}"
    origin, site = headers.get("Origin", "").lower(), headers.get("Sec-Fetch-Site", "").lower()
    if origin in origins:
        return None
    # A proxy may have put another name for the server's own into `Host`, which `Sec-Fetch-Site` does not depend on.
    is_own = site in ("same-origin", "none") if site else not origin or _is_own(origin, places)
    if is_own or (method in ("GET", "HEAD") and _is_link(headers)):
        return None
    page = f"of {origin}" if origin and origin != "null" else "of another origin"
    return (
        FOREIGN_PAGE,
        f"a page {page} may not use this server; CALIBRATED_ENSEMBLE_ALLOWED_ORIGINS names those that may",
    )


def _is_known(place: str, hosts: frozenset[str]) -> bool:
    match = _HOST.fullmatch(place)
    if match is None:
        return False
    name = match[1].rstrip(".")
    above = name.split(".")
    if name in hosts or any("*." + ".".join(above[start:]) in hosts for start in range(1, len(above))):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    # No name was looked up, so nobody made one lead here.
    return True


def _is_own(origin: str, places: list[str]) -> bool:
    scheme, _, place = origin.partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    return port is not None and place.removesuffix(port) in {own.removesuffix(port) for own in places}


def _is_link(headers: Mapping[str, str]) -> bool:
    """Whether a tab shows the answer, which a frame or a picture in another page does not."""
    return headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
