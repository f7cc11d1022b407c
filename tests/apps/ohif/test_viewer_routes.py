"""The viewer over HTTP: what is sent, how often, and to whom it may talk."""

import gzip
import http.client
import re
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import httpx
import pytest

from apps.calibrated_ensemble.ohif.files import ViewerFiles
from apps.calibrated_ensemble.ohif.viewer_routes import (
    MEDIA_TYPES,
    OWN_FOLDER,
    accepts_gzip,
    content_security_policy,
    viewer_router,
)
from tests.apps.servers.served_app import ServedApp

HASHED = "89.bundle.b327bf3664812958.js"


@pytest.fixture(scope="module")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stands for our own modules."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "app-config.js").write_text("window.config = {};\n" * 50)
    (folder / "worklist.html").write_text("<!doctype html><title>Worklist</title>")
    (folder / "colours.js").write_text("export const colours = [];\n" * 50)
    (folder / "panel.css").write_text("p { margin: 0 }")
    (folder / "secret.txt").write_text("secret")
    (folder.parent / "outside.js").write_text("secret")
    (folder.parent / "beside").mkdir()
    (folder.parent / "beside" / "outside.js").write_text("secret")
    (folder / "label" / "deeper").mkdir(parents=True)
    (folder / "label" / "drafts.js").write_text("export const drafts = [];\n" * 50)
    (folder / "label" / "README.md").write_text("secret")
    (folder / "label" / ".hidden.js").write_text("secret")
    (folder / "label" / "deeper" / "drafts.js").write_text("secret")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "drafts.js").write_text("secret")
    (folder / ".hidden.js").write_text("secret")
    return folder


@pytest.fixture(scope="module")
def served(viewer: ViewerFiles, own_folder: Path) -> Iterator[ServedApp]:
    with ServedApp(viewer_router(viewer, own_folder=own_folder)) as served:
        yield served


@pytest.fixture
def client(served: ServedApp) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{served.url}/viewer/", trust_env=False) as client:
        yield client


def raw(
    served: ServedApp, path: str, *, accept: str = "gzip", method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    """Ask for a path exactly as it is written, and give the bytes of the body as they came."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    connection.request(method, path, headers={"Accept-Encoding": accept})
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    body = answer.read()
    connection.close()
    return answer.status, headers, body


def test_every_file_is_the_same_compressed_and_not(served: ServedApp, viewer: ViewerFiles) -> None:
    for name in viewer.files:
        status, headers, packed = raw(served, f"/viewer/{name}")
        assert status == 200, name
        assert headers["vary"] == "Accept-Encoding"
        status, plain_headers, plain = raw(served, f"/viewer/{name}", accept="identity")
        assert "content-encoding" not in plain_headers
        assert (zlib.decompress(packed, wbits=31) if "content-encoding" in headers else packed) == plain, name
        assert plain == viewer.read(name)
        assert int(headers["content-length"]) == len(packed) <= len(plain)


def test_every_file_has_a_media_type(viewer: ViewerFiles, client: httpx.Client) -> None:
    suffixes = {PurePosixPath(name).suffix for name in viewer.files}
    assert suffixes - set(MEDIA_TYPES) == {""}
    for name, expected in {
        HASHED: "text/javascript; charset=utf-8",
        "app.bundle.css": "text/css; charset=utf-8",
        "0ddf166f7a343eda.wasm": "application/wasm",
        "a34f9d1faa5f3315.woff2": "font/woff2",
        "manifest.json": "application/json",
        "LICENSE": "text/plain; charset=utf-8",
        "app-config.js": "text/javascript; charset=utf-8",
        "calibrated-ensemble/panel.css": "text/css; charset=utf-8",
    }.items():
        assert client.head(name).headers["content-type"] == expected


@pytest.mark.parametrize("name", [HASHED, "0ddf166f7a343eda.wasm", "a34f9d1faa5f3315.woff2"])
def test_what_is_named_by_its_content_is_kept(client: httpx.Client, name: str) -> None:
    assert client.head(name).headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    "name",
    [
        "app.bundle.css",
        "index.html",
        "segmentation",
        "1602.css",
        "app-config.js",
        "worklist.html",
        "assets/favicon.ico",
    ],
)
def test_what_may_change_is_asked_for_again_but_not_sent_again(client: httpx.Client, name: str) -> None:
    first = client.get(name)
    assert first.headers["cache-control"] == "no-cache"
    tag = first.headers["etag"]
    for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        again = client.get(name, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get(name, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_change_of_our_own_module_arrives(client: httpx.Client, own_folder: Path) -> None:
    name = "calibrated-ensemble/colours.js"
    before = client.get(name)
    (own_folder / "colours.js").write_text("export const colours = [1];\n" * 50)
    after = client.get(name, headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.text == "export const colours = [1];\n" * 50
    assert after.headers["content-encoding"] == "gzip"


def test_a_module_in_a_folder_is_sent(client: httpx.Client, own_folder: Path) -> None:
    answer = client.get("calibrated-ensemble/label/drafts.js")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.text == (own_folder / "label" / "drafts.js").read_text()
    known = {"If-None-Match": answer.headers["etag"]}
    assert client.get("calibrated-ensemble/label/drafts.js", headers=known).status_code == 304


def test_all_our_files_are_sent_and_every_address_in_them_is_one(viewer: ViewerFiles) -> None:
    """The page and the configuration name modules by their addresses; modules name each other by relative paths."""
    folder = OWN_FOLDER
    assert folder.is_dir()
    in_root = {"app-config.js", "worklist.html"}
    ours = [
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in (".js", ".css", ".html")
    ]
    addresses = re.compile(r"/viewer/(calibrated-ensemble/[^'\"]+\.(?:js|css))")
    named = {name for path in ours for name in addresses.findall((folder / path).read_text(encoding="utf-8"))}
    assert len(ours) > 30
    assert len(named) > 2
    with ServedApp(viewer_router(viewer)) as served:
        for name in {name if name in in_root else f"calibrated-ensemble/{name}" for name in ours} | named:
            status, _, body = raw(served, f"/viewer/{name}", accept="identity")
            assert (status, body) == (200, (folder / name.removeprefix("calibrated-ensemble/")).read_bytes()), name


@pytest.mark.parametrize("path", ["/viewer", "/viewer/"])
def test_the_root_leads_to_the_worklist(served: ServedApp, path: str) -> None:
    answer = httpx.get(served.url + path, follow_redirects=True, trust_env=False)
    assert str(answer.url) == f"{served.url}/viewer/worklist.html"
    assert "Worklist" in answer.text


@pytest.mark.parametrize(
    "path", ["segmentation?StudyInstanceUIDs=1.2.3", "calibrated-ensemble", "viewer/pacs", "1.2.3"]
)
def test_a_place_in_the_application_gets_its_page(client: httpx.Client, viewer: ViewerFiles, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.content == viewer.read("index.html")


@pytest.mark.parametrize(
    "path", ["missing.js", "assets/missing.png", "deep/er/x.wasm", "x.map", "calibrated-ensemble/missing.js", "sw.js"]
)
def test_a_missing_file_is_404(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "../outside.js",
        "..%2foutside.js",
        "calibrated-ensemble/../../outside.js",
        "calibrated-ensemble/..%2foutside.js",
        "calibrated-ensemble/%2e%2e/outside.js",
        "calibrated-ensemble/secret.txt",
        "calibrated-ensemble/..%5coutside.js",
        "assets/../../installed.json",
        "%2fetc/passwd.js",
        "/etc/passwd",
        "calibrated-ensemble//etc/passwd",
        "calibrated-ensemble/label/../../outside.js",
        "calibrated-ensemble/label/..%2f..%2foutside.js",
        "calibrated-ensemble/label/%2e%2e/%2e%2e/outside.js",
        "calibrated-ensemble/label/..%5c..%5coutside.js",
        "calibrated-ensemble/../beside/outside.js",
        "calibrated-ensemble/..%252foutside.js",
        "calibrated-ensemble/label%252f..%252f..%252foutside.js",
        "calibrated-ensemble/./label/.hidden.js",
        "calibrated-ensemble/label/.hidden.js",
        "calibrated-ensemble/.hidden/drafts.js",
        "calibrated-ensemble/.hidden.js",
        "calibrated-ensemble/label//drafts.js",
        "calibrated-ensemble/label/deeper/drafts.js",
        "calibrated-ensemble/label/README.md",
        "calibrated-ensemble/label/",
        "calibrated-ensemble/label/drafts.js/",
        "calibrated-ensemble/label/drafts.js%00.css",
        "calibrated-ensemble%2f%2fetc%2fpasswd",
        "installed.json",
        "index.html%00.js",
    ],
)
def test_no_path_leaves_the_folders(served: ServedApp, viewer: ViewerFiles, path: str) -> None:
    status, _, body = raw(served, f"/viewer/{path}", accept="identity")
    assert b"secret" not in body
    assert b"root:" not in body
    # Either nothing, or the application's own page.
    assert status == 404 or body == viewer.read("index.html")


@pytest.mark.parametrize("name", [HASHED, "index.html", "app-config.js", "assets/favicon.ico"])
@pytest.mark.parametrize("accept", ["gzip", "identity"])
def test_head_tells_what_get_would_send(served: ServedApp, name: str, accept: str) -> None:
    changing = {"date"}
    status, headers, _ = raw(served, f"/viewer/{name}", accept=accept)
    head_status, head_headers, body = raw(served, f"/viewer/{name}", accept=accept, method="HEAD")
    assert (head_status, body) == (status, b"")
    assert {key: head_headers[key] for key in head_headers.keys() - changing} == {
        key: headers[key] for key in headers.keys() - changing
    }


def test_nothing_can_be_written(client: httpx.Client) -> None:
    assert client.post("index.html", content=b"x").status_code == 405
    assert client.put("app-config.js", content=b"x").status_code == 405


@pytest.mark.parametrize("path", ["", "worklist.html", "segmentation", "app-config.js", HASHED])
def test_without_ohif_every_place_says_what_to_do(path: str) -> None:
    with ServedApp(viewer_router(None)) as served:
        answer = httpx.get(f"{served.url}/viewer/{path}", trust_env=False)
    assert answer.status_code == 503
    assert answer.headers["cache-control"] == "no-store"
    assert "<code>calibrated-ensemble viewer install</code>" in answer.text


def test_pages_may_not_evaluate_code_and_reach_only_this_server(client: httpx.Client) -> None:
    for name in ("index.html", "segmentation", "worklist.html"):
        policy = client.get(name).headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "'unsafe-eval'" not in policy
        assert "script-src 'self' 'wasm-unsafe-eval' 'sha256-" in policy
        assert "http" not in policy
        assert "*" not in policy
    # The codecs' workers evaluate code, and obey the policy of their own script.
    assert "script-src 'self' 'unsafe-eval'" in client.head(HASHED).headers["content-security-policy"]


def test_inline_scripts_are_allowed_by_their_hash() -> None:
    # The hash of this script is the example of the W3C's recommendation.
    policy = content_security_policy(b"<script>alert('Hello, world.');</script>", may_evaluate=False)
    assert "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='" in policy


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.8", True),
        ("GZIP", True),
        ("*", True),
        ("gzip;q=0.001", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0, *", False),
    ],
)
def test_gzip_is_sent_only_to_those_who_accept_it(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def test_a_compressed_file_is_sent_as_it_is_stored(served: ServedApp, viewer: ViewerFiles) -> None:
    _, headers, body = raw(served, f"/viewer/{HASHED}")
    assert headers["content-encoding"] == "gzip"
    assert body == viewer.path(HASHED).read_bytes()
    assert gzip.decompress(body) == viewer.read(HASHED)
