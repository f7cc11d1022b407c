"""The viewer over HTTP: OHIF's files and our own, each sent once and compressed."""

import base64
import gzip
import hashlib
import re
from html import escape
from pathlib import Path, PurePosixPath

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from apps.calibrated_ensemble.ohif.files import INSTALL_COMMAND, PREFIX, ViewerFiles

OWN_FOLDER = Path(__file__).parents[1] / "viewer"
WORKLIST = "worklist.html"

# What comes with the system differs from machine to machine, and browsers refuse modules of another type.
MEDIA_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".webapp": "application/manifest+json",
    ".xml": "application/xml",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".map": "application/json",
}

_OWN_IN_ROOT = frozenset({"app-config.js", WORKLIST})
# Our modules lie in the viewer's folder or in one of its folders. No part of a name starts with a dot or is empty, so
# that no path leads out of there.
_OWN_MODULE = re.compile(r"calibrated-ensemble/((?:[A-Za-z0-9_-]+/)?[A-Za-z0-9_-]+\.(?:js|css))")

# Names that the build made from the content, such as "89.bundle.b327bf3664812958.js".
_NAMED_BY_CONTENT = re.compile(r"(?:.*\.)?[0-9a-f]{16}\.(?:js|wasm|woff2)")
_KEEP = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"

_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def viewer_router(files: ViewerFiles | None, *, own_folder: Path = OWN_FOLDER) -> APIRouter:
    """Give the routes under `/viewer/`.

    They answer every path there, so routes of a longer path, such as the DICOMweb proxy's, must be
    added before them. OHIF is a single-page application: paths that name no file get its page.

    Args:
        files: see `find_viewer`; with None every path answers 503 and says what to do.
        own_folder: our modules in folders, the style sheet, `app-config.js` and the worklist's page.
    """
    router = APIRouter(prefix=PREFIX.rstrip("/"), include_in_schema=False)
    if files is None:
        router.add_api_route("/{path:path}", _not_installed, methods=["GET", "HEAD"])
        return router
    page = files.read("index.html")
    for_pages = content_security_policy(page, may_evaluate=False)
    # A worker obeys the policy that its script came with, and those that decode JPEG 2000 and JPEG-LS evaluate code.
    for_workers = content_security_policy(page, may_evaluate=True)

    @router.api_route("", methods=["GET", "HEAD"])
    @router.api_route("/", methods=["GET", "HEAD"])
    def start() -> Response:
        return RedirectResponse(PREFIX + WORKLIST)

    @router.api_route("/{name:path}", methods=["GET", "HEAD"])
    def file(name: str, request: Request) -> Response:
        module = _OWN_MODULE.fullmatch(name)
        if module or name in _OWN_IN_ROOT:
            response = _send_own_file(own_folder / (module[1] if module else name), request)
        else:
            name = _name_in_ohif(name, files)
            response = _send_stored_file(files, name, request)
        is_page = name.endswith(".html")
        response.headers["Content-Security-Policy"] = for_pages if is_page else for_workers
        response.headers["X-Content-Type-Options"] = "nosniff"
        # Addresses of the viewer hold identifiers of studies.
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    return router


def content_security_policy(page: bytes, *, may_evaluate: bool) -> str:
    """Policy that lets OHIF run and reach nothing but this server.

    Args:
        page: OHIF's page, whose inline scripts are allowed by their hashes.
        may_evaluate: whether scripts may make code from text.
    """
    hashes = [base64.b64encode(hashlib.sha256(script).digest()).decode() for script in _INLINE_SCRIPT.findall(page)]
    # WebAssembly decodes images; React and the panels set styles; thumbnails and workers are made in the page.
    scripts = ["'self'", "'unsafe-eval'" if may_evaluate else "'wasm-unsafe-eval'"]
    scripts += [f"'sha256-{digest}'" for digest in sorted(set(hashes))]
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src {' '.join(scripts)}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' data: blob:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        ]
    )


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an `Accept-Encoding` header allows gzip."""
    for part in accept_encoding.lower().split(","):
        coding, _, weight = part.replace(" ", "").partition(";q=")
        if coding in ("gzip", "*"):
            return not re.fullmatch(r"0(\.0*)?", weight)
    return False


def _not_installed(path: str) -> HTMLResponse:  # noqa: ARG001
    return HTMLResponse(
        "<!doctype html><title>Viewer not installed</title><h1>The viewer is not installed</h1>"
        f"<p>Run <code>{escape(INSTALL_COMMAND)}</code> on this server, and start the server again.</p>",
        status_code=503,
        headers={"Cache-Control": "no-store"},
    )


def _name_in_ohif(name: str, files: ViewerFiles) -> str:
    if name in files.files:
        return name
    if PurePosixPath(name).suffix in MEDIA_TYPES:
        raise HTTPException(404, f"{PREFIX}{name}: no such file")
    return "index.html"


def _send_own_file(path: Path, request: Request) -> Response:
    if not path.is_file():
        raise HTTPException(404, f"{PREFIX}: no file {path.name} of ours")
    content = path.read_bytes()
    headers = _caching_headers(path.name, hashlib.sha256(content).hexdigest())
    if _is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    if accepts_gzip(request.headers.get("Accept-Encoding", "")):
        headers["Content-Encoding"] = "gzip"
        content = gzip.compress(content, mtime=0)
    return Response(content, headers=headers, media_type=MEDIA_TYPES[path.suffix])


def _send_stored_file(files: ViewerFiles, name: str, request: Request) -> Response:
    stored = files.files[name]
    headers = _caching_headers(name, stored.digest)
    if _is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    media_type = MEDIA_TYPES.get(PurePosixPath(name).suffix, "text/plain")
    if stored.compressed and not accepts_gzip(request.headers.get("Accept-Encoding", "")):
        return Response(files.read(name), headers=headers, media_type=media_type)
    if stored.compressed:
        headers["Content-Encoding"] = "gzip"
    return FileResponse(files.path(name), headers=headers, media_type=media_type)


def _caching_headers(name: str, digest: str) -> dict[str, str]:
    # The tag is weak, since one content is sent in two encodings.
    return {
        "ETag": f'W/"{digest[:32]}"',
        "Cache-Control": _KEEP if _NAMED_BY_CONTENT.fullmatch(name) else _ASK_AGAIN,
        "Vary": "Accept-Encoding",
    }


def _is_known(request: Request, tag: str) -> bool:
    known = {part.strip() for part in request.headers.get("If-None-Match", "").split(",")}
    return not known.isdisjoint({tag, tag.removeprefix("W/"), "*"})
