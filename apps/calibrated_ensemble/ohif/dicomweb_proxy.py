"""The PACS under the viewer's own origin, so that a browser needs no way to it but through this server."""

import base64
import re
import zlib
from collections.abc import AsyncIterator, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Annotated
from urllib.parse import quote, urlsplit

import httpx
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import StreamingResponse
from monailabel.config import settings as server_settings
from monailabel.endpoints.user.auth import RBAC

from apps.calibrated_ensemble.ohif.files import PREFIX
from apps.calibrated_ensemble.ohif.viewer_routes import accepts_gzip

ROOT = f"{PREFIX}dicom-web"

_REQUEST_HEADERS = ("Accept", "Accept-Language", "If-Modified-Since", "If-None-Match", "If-Range", "Range")
_RESPONSE_HEADERS = (
    "Accept-Ranges",
    "Content-Location",
    "Content-Range",
    "ETag",
    "Last-Modified",
    "Retry-After",
    "Warning",
    "WWW-Authenticate",
)

# Pixels of an instance never change; a working day bounds how long they stay on the disk of a shared computer.
_PIXELS = re.compile(r"(?:.*/)?instances/[^/]+(?:/(?:frames/[^/]+|rendered|thumbnail|bulk(?:data)?/.+))?")
_WITHOUT_CONTENT = (httpx.codes.NO_CONTENT, httpx.codes.NOT_MODIFIED)
# What DICOMweb's resources are sent as (PS3.18, 8.7); a browser runs none of it.
_DICOMWEB_TYPES = re.compile(
    r"multipart/related|application/(?:dicom|dicom\+json|dicom\+xml|json|octet-stream|pdf)"
    r"|image/(?:jpeg|gif|png|jp2|jpx|jls|jph|jphc|jxl|dicom-rle|tiff)|video/[a-z0-9.+-]+"
)
# Whatever the PACS sends can neither run under our origin nor ask it for anything, in whatever way it is opened.
_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

_KEEP = "private, max-age=43200, immutable"
_ASK_AGAIN = "private, no-cache"


def dicomweb_router(url: str, *, timeout: float | None = None) -> APIRouter:
    """Give the routes under `/viewer/dicom-web/`: GET and HEAD only, since the viewer stores nothing itself.

    Answers are passed on as they come, never held in memory; what is no DICOMweb is passed on as plain text or bytes.
    The PACS is asked with the client's `Authorization`, else with the name and password that MONAI Label's settings
    hold; where MONAI Label asks for a sign-in of its own, the header is that of the sign-in, and the PACS is asked
    with the settings or without. Its cookies are neither kept nor passed on.

    Args:
        url: DICOMweb root of the PACS.
        timeout: seconds to wait for it to connect, and for each part of an answer; MONAI Label's by default.
    """
    root = url.rstrip("/")
    # Orthanc and others drop idle connections without notice.
    client = httpx.AsyncClient(
        timeout=server_settings.MONAI_LABEL_DICOMWEB_PROXY_TIMEOUT if timeout is None else timeout,
        limits=httpx.Limits(max_keepalive_connections=0),
        # One for all clients would send one's session with another's request.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )
    router = APIRouter(
        prefix=ROOT,
        include_in_schema=False,
        dependencies=[Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_USER))],
    )

    async def ask(path: str, request: Request) -> AsyncIterator[httpx.Response]:
        target = upstream_target(root, path, request.scope["query_string"])
        upstream = client.build_request(
            request.method, root, headers=_request_headers(request), extensions={"target": target}
        )
        try:
            response = await client.send(upstream, stream=True)
        except httpx.TimeoutException as error:
            raise HTTPException(
                504, f"the PACS at {_without_credentials(root)} did not answer in time; try again"
            ) from error
        except httpx.TransportError as error:
            raise HTTPException(502, f"the PACS at {_without_credentials(root)} cannot be reached ({error})") from error
        try:
            _require_answer(response, root)
            yield response
        finally:
            # After the last byte was sent, and as well when the client went away.
            await response.aclose()

    @router.api_route("/{path:path}", methods=["GET", "HEAD"])
    async def relay(
        path: str, request: Request, response: Annotated[httpx.Response, Depends(ask)]
    ) -> StreamingResponse:
        headers = {name: response.headers[name] for name in _RESPONSE_HEADERS if name in response.headers}
        headers["Cache-Control"] = _KEEP if response.is_success and _PIXELS.fullmatch(path) else _ASK_AGAIN
        headers["Vary"] = "Accept, Accept-Encoding, Authorization"
        headers["Content-Security-Policy"] = _POLICY
        headers["X-Content-Type-Options"] = "nosniff"
        content_type = harmless_type(response.headers.get("Content-Type", ""))
        if response.status_code not in _WITHOUT_CONTENT:
            headers["Content-Type"] = content_type
        media_type = content_type.partition(";")[0]
        if request.method == "HEAD" or not media_type.endswith("json"):
            for name in ("Content-Encoding", "Content-Length"):
                if name in response.headers:
                    headers[name] = response.headers[name]
            return StreamingResponse(response.aiter_raw(), response.status_code, headers)
        content = replace_addresses(response.aiter_bytes(), root)
        if accepts_gzip(request.headers.get("Accept-Encoding", "")):
            headers["Content-Encoding"] = "gzip"
            content = compress(content)
        return StreamingResponse(content, response.status_code, headers)

    return router


def upstream_target(root: str, path: str, query: bytes) -> bytes:
    """What to ask the PACS for: a path below its root, and the query byte for byte.

    Args:
        root: DICOMweb root without a slash at its end.
        path: below the root, percent-decoded.
        query: as it came.

    Raises:
        HTTPException: 400 for a path that could leave the root.
    """
    # Some servers take off what follows a semicolon, and a backslash for a slash, before they resolve a path.
    segments = {segment.partition(";")[0] for segment in path.split("/")}
    if "\\" in path or "%" in path or not segments.isdisjoint({".", ".."}):
        raise HTTPException(400, "the path leaves the DICOMweb root; ask for studies, series or instances below it")
    target = urlsplit(root).path + "/" + quote(path, safe="/!$&'()*+,;=:@~")
    return target.encode() + (b"?" + query if query else b"")


def harmless_type(content_type: str) -> str:
    """Give the media type under which an answer may be passed on: its own if DICOMweb knows it, else text or bytes.

    Args:
        content_type: as the PACS sent it; may be empty.
    """
    media_type, _, parameters = content_type.partition(";")
    media_type = media_type.strip().lower()
    if _DICOMWEB_TYPES.fullmatch(media_type):
        return content_type
    if media_type.startswith("text/"):
        return f"text/plain;{parameters}" if parameters else "text/plain"
    return "application/octet-stream"


async def replace_addresses(chunks: AsyncIterator[bytes], root: str) -> AsyncIterator[bytes]:
    """Put `ROOT` for the PACS's own address at the start of JSON strings, where it says where bulk data lies.

    Args:
        chunks: JSON text, cut anywhere.
        root: DICOMweb root of the PACS.
    """
    address = urlsplit(root)
    # Orthanc leaves the port out in some answers.
    before = f'"https?://{re.escape(address.hostname or "")}(?::[0-9]{{1,5}})?{re.escape(address.path)}/'
    pattern, longest = re.compile(before.encode()), len(f'"https://{address.hostname}:65535{address.path}/')
    held = b""
    async for chunk in chunks:
        held = pattern.sub(f'"{ROOT}/'.encode(), held + chunk)
        yield held[:-longest]
        held = held[-longest:]
    yield held


async def compress(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Compress with gzip what comes, as it comes."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    async for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()


def _request_headers(request: Request) -> dict[str, str]:
    headers = {name: request.headers[name] for name in _REQUEST_HEADERS if name in request.headers}
    headers["Accept-Encoding"] = "gzip" if accepts_gzip(request.headers.get("Accept-Encoding", "")) else "identity"
    authorization = _authorization(request.headers)
    return headers | ({"Authorization": authorization} if authorization else {})


def _require_answer(response: httpx.Response, root: str) -> None:
    """Check that the PACS answers itself.

    Raises:
        HTTPException: 502 when it sends us elsewhere, or asks for a password that only the settings can give.
    """
    where = f"the PACS at {_without_credentials(root)}"
    if response.has_redirect_location:
        raise HTTPException(502, f"{where} sends elsewhere; start the server with the address that it sends to")
    if response.status_code == httpx.codes.UNAUTHORIZED and server_settings.MONAI_LABEL_AUTH_ENABLE:
        names = "MONAI_LABEL_DICOMWEB_USERNAME and MONAI_LABEL_DICOMWEB_PASSWORD"
        raise HTTPException(502, f"{where} refuses this server; set {names} to what it knows")


def _authorization(sent: Mapping[str, str]) -> str | None:
    name, password = server_settings.MONAI_LABEL_DICOMWEB_USERNAME, server_settings.MONAI_LABEL_DICOMWEB_PASSWORD
    own = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode() if name and password else None
    return own if server_settings.MONAI_LABEL_AUTH_ENABLE else sent.get("Authorization", own)


def _without_credentials(root: str) -> str:
    """Address without a name and password."""
    address = urlsplit(root)
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"
