"""The PACS behind the viewer's own origin: real Orthanc, and a PACS made up for what Orthanc does not do."""

import asyncio
import base64
import contextlib
import gzip
import http.client
import itertools
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pydicom
import pytest
from dicomweb_client import DICOMwebClient
from fastapi import HTTPException
from fastapi.responses import Response
from hypothesis import given
from hypothesis import strategies as st
from monailabel.config import settings
from monailabel.endpoints.user.auth import User, get_current_user
from pydicom.data import get_testdata_file

from apps.calibrated_ensemble.ohif.dicomweb_proxy import (
    compress,
    dicomweb_router,
    harmless_type,
    replace_addresses,
    upstream_target,
)
from tests.apps.servers.made_up_pacs import MadeUpPacs
from tests.apps.servers.running_orthanc import RunningOrthanc
from tests.apps.servers.running_server import wait_for
from tests.apps.servers.served_app import ServedApp

FRAME_ACCEPT = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
NO_ADDRESS = "http://127.0.0.1:{}/dicom-web"


@pytest.fixture(scope="module")
def dataset() -> pydicom.Dataset:
    return pydicom.dcmread(get_testdata_file("CT_small.dcm"))


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, dataset: pydicom.Dataset) -> Iterator[RunningOrthanc]:
    with RunningOrthanc(tmp_path_factory.mktemp("orthanc")) as orthanc:
        orthanc.store([dataset])
        yield orthanc


@pytest.fixture(scope="module")
def proxy(orthanc: RunningOrthanc) -> Iterator[ServedApp]:
    with ServedApp(dicomweb_router(orthanc.url)) as proxy:
        yield proxy


def ask(proxy: ServedApp, path: str, **options: object) -> httpx.Response:
    return httpx.get(f"{proxy.url}/viewer/dicom-web/{path}", trust_env=False, timeout=30, **options)


def instance_path(dataset: pydicom.Dataset) -> str:
    return f"studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}/instances/{dataset.SOPInstanceUID}"


@pytest.fixture
def pacs() -> MadeUpPacs:
    return MadeUpPacs()


@pytest.fixture
def made_up(pacs: MadeUpPacs) -> Iterator[ServedApp]:
    """The proxy of the made-up PACS, which gives it a second for each part of an answer."""
    with ServedApp(pacs.router) as upstream, ServedApp(dicomweb_router(f"{upstream.url}/pacs/rs/", timeout=1)) as proxy:
        yield proxy
        pacs.may_go_on.set()


def test_a_client_finds_reads_and_decodes_through_the_proxy(proxy: ServedApp, dataset: pydicom.Dataset) -> None:
    client = DICOMwebClient(f"{proxy.url}/viewer/dicom-web")
    (study,) = client.search_for_studies(search_filters={"PatientID": dataset.PatientID})
    assert study["0020000D"]["Value"] == [dataset.StudyInstanceUID]
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []
    uids = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
    assert client.retrieve_instance(*uids).PixelData == dataset.PixelData
    # Orthanc refuses requests for frames that leave the media type open.
    frames = client.retrieve_instance_frames(*uids, frame_numbers=[1], media_types=("application/octet-stream",))
    assert frames == [dataset.PixelData]


def test_what_the_proxy_sends_is_what_orthanc_sends(
    proxy: ServedApp, orthanc: RunningOrthanc, dataset: pydicom.Dataset
) -> None:
    headers = {"Accept": FRAME_ACCEPT}
    path = f"{instance_path(dataset)}/frames/1"
    through, direct = ask(proxy, path, headers=headers), httpx.get(f"{orthanc.url}/{path}", headers=headers)

    def parts(answer: httpx.Response) -> list[bytes]:
        boundary = answer.headers["content-type"].partition("boundary=")[2].strip('"').encode()
        return answer.content.split(boundary)

    assert through.status_code == direct.status_code == 200
    assert parts(through) == parts(direct)
    assert through.headers["content-type"].split("boundary")[0] == direct.headers["content-type"].split("boundary")[0]


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_metadata_is_compressed_and_says_that_bulk_data_lies_on_this_server(
    proxy: ServedApp, orthanc: RunningOrthanc, dataset: pydicom.Dataset, encoding: str
) -> None:
    path = f"studies/{dataset.StudyInstanceUID}/metadata"
    answer = ask(proxy, path, headers={"Accept-Encoding": encoding})
    direct = httpx.get(f"{orthanc.url}/{path}").text
    assert answer.headers.get("content-encoding", "identity") == encoding
    assert f"{orthanc.url}/studies" in direct
    assert answer.json() == json.loads(direct.replace(f"{orthanc.url}/", "/viewer/dicom-web/"))
    (address,) = [
        element["BulkDataURI"] for element in answer.json()[0].values() if "7fe00010" in element.get("BulkDataURI", "")
    ]
    assert dataset.PixelData in httpx.get(proxy.url + address).content


@pytest.mark.parametrize("path", ["studies/1.2.3/metadata", "nonsense"])
def test_what_orthanc_does_not_know_stays_404(proxy: ServedApp, path: str) -> None:
    assert ask(proxy, path).status_code == 404


def test_pixels_are_kept_and_all_else_is_asked_for_again(proxy: ServedApp, dataset: pydicom.Dataset) -> None:
    instance = instance_path(dataset)
    pixels = [instance, f"{instance}/frames/1", f"{instance}/rendered", f"{instance}/bulk/7fe00010"]
    others = ["studies", f"{instance}/metadata", f"studies/{dataset.StudyInstanceUID}", f"{instance[:-2]}/frames/1"]
    for path in pixels:
        answer = ask(proxy, path, headers={"Accept": "*/*"})
        assert answer.status_code == 200, path
        assert answer.headers["cache-control"] == "private, max-age=43200, immutable", path
    for path in others:
        assert ask(proxy, path, headers={"Accept": "*/*"}).headers["cache-control"] == "private, no-cache", path


@pytest.mark.parametrize("known", [True, False])
def test_a_pacs_that_asks_for_a_password_gets_the_clients_else_the_servers(
    tmp_path: Path, dataset: pydicom.Dataset, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    if known:
        monkeypatch.setattr(settings, "MONAI_LABEL_DICOMWEB_USERNAME", "server")
        monkeypatch.setattr(settings, "MONAI_LABEL_DICOMWEB_PASSWORD", "pass:word")
    with (
        RunningOrthanc(tmp_path, user=("server", "pass:word")) as orthanc,
        ServedApp(dicomweb_router(orthanc.url)) as proxy,
    ):
        assert ask(proxy, "studies").status_code == (200 if known else 401)
        assert ask(proxy, "studies", auth=("server", "pass:word")).status_code == 200
        assert ask(proxy, "studies", auth=("server", "wrong")).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "../system",
        "studies/../../system",
        "%2e%2e/system",
        "..%2fsystem",
        "%252e%252e/system",
        "..%5csystem",
        "..;/system",
        "..;x=1/system",
        "./../system",
    ],
)
def test_no_path_leaves_the_dicomweb_root(proxy: ServedApp, orthanc: RunningOrthanc, path: str) -> None:
    assert orthanc.session.get(f"{orthanc.rest}/system").ok
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=30)
    connection.request("GET", f"/viewer/dicom-web/{path}")
    answer = connection.getresponse()
    assert answer.status == 400
    assert b"ApiVersion" not in answer.read()
    connection.close()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_stored_or_removed(made_up: ServedApp, pacs: MadeUpPacs, method: str) -> None:
    assert httpx.request(method, f"{made_up.url}/viewer/dicom-web/studies").status_code == 405
    assert not pacs.asked


@pytest.mark.parametrize(
    "query",
    [
        b"PatientName=M%C3%BCller%2A&includefield=00081030%2C00080060",
        b"a=b+c&a=b%20c&&x",
        b'odd=["|]{}^`\\%zz',
        b"",
    ],
)
def test_the_query_arrives_byte_for_byte(made_up: ServedApp, pacs: MadeUpPacs, query: bytes) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", made_up.port, timeout=30)
    connection.putrequest("GET", "/viewer/dicom-web/studies" + (f"?{query.decode()}" if query else ""))
    connection.endheaders()
    assert connection.getresponse().status == 206
    connection.close()
    ((method, path, arrived, _),) = pacs.asked
    assert (method, path, arrived) == ("GET", b"/pacs/rs/studies", query)


def test_only_what_concerns_the_answer_is_sent_on_and_back(made_up: ServedApp, pacs: MadeUpPacs) -> None:
    sent = {"Accept": "a/b", "Range": "bytes=0-1", "Cookie": "c=d", "Authorization": "Bearer x", "X-Other": "y"}
    answer = ask(made_up, "studies", headers=sent)
    ((_, _, _, arrived),) = pacs.asked
    assert {key: arrived.get(key.lower()) for key in sent} == sent | {"Cookie": None, "X-Other": None}
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (206, b"{}", '"7"')
    assert answer.headers["content-length"] == "2"
    assert not {"set-cookie", "keep-alive"} & answer.headers.keys()
    assert answer.headers.get("server") != "PACS 1.0"


def test_a_session_of_one_client_is_not_sent_with_another_ones_request(made_up: ServedApp, pacs: MadeUpPacs) -> None:
    for _ in range(3):
        assert "set-cookie" not in ask(made_up, "studies").headers
    pacs.answers["login"] = Response(headers={"Set-Cookie": "session=ann; Path=/; Domain=127.0.0.1; Max-Age=999"})
    ask(made_up, "login")
    ask(made_up, "studies", headers={"Cookie": "own=1"})
    assert len(pacs.asked) == 5
    assert not [headers["cookie"] for *_, headers in pacs.asked if "cookie" in headers]


@pytest.mark.parametrize(
    ("sent", "passed_on"),
    [
        ("text/html", "text/plain"),
        ("text/html; charset=utf-8", "text/plain; charset=utf-8"),
        (" Text/HTML;charset=latin-1", "text/plain;charset=latin-1"),
        ("text/xml", "text/plain"),
        ("text/javascript", "text/plain"),
        ("application/xhtml+xml", "application/octet-stream"),
        ("application/xml", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("application/javascript", "application/octet-stream"),
        ("application/x-shockwave-flash", "application/octet-stream"),
        ("multipart/x-mixed-replace; boundary=x", "application/octet-stream"),
        ("text/html, application/json", "text/plain"),
        ("nonsense", "application/octet-stream"),
        ("", "application/octet-stream"),
        *(
            (media_type, media_type)
            for media_type in (
                "application/dicom",
                "application/dicom+json",
                "application/dicom+xml; charset=utf-8",
                "application/json",
                "application/octet-stream",
                "application/pdf",
                'multipart/related; type="application/octet-stream"; boundary=x',
                "Multipart/Related; boundary=X",
                "image/jpeg",
                "image/png",
                "image/jls",
                "image/dicom-rle",
                "video/mp4",
            )
        ),
    ],
)
def test_what_is_no_dicomweb_becomes_text_or_bytes(sent: str, passed_on: str) -> None:
    assert harmless_type(sent) == passed_on


@pytest.mark.parametrize("status", [200, 404, 500])
def test_nothing_of_the_pacs_runs_under_our_origin(made_up: ServedApp, pacs: MadeUpPacs, status: int) -> None:
    page = b"<!doctype html><script>fetch('/datastore/')</script>"
    pacs.answers["page"] = Response(page, status, media_type="text/html; charset=utf-8")
    pacs.answers["sniffed"] = Response(page, status)
    pacs.answers["list"] = Response(b"[]", status, media_type="application/dicom+json")
    for path, media_type in {
        "page": "text/plain; charset=utf-8",
        "sniffed": "application/octet-stream",
        "list": "application/dicom+json",
    }.items():
        answer = ask(made_up, path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == media_type
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert ask(made_up, "page").content == page


def test_what_is_not_sent_again_has_no_type(made_up: ServedApp, pacs: MadeUpPacs) -> None:
    pacs.answers["studies"] = Response(status_code=304, headers={"ETag": '"7"'})
    answer = ask(made_up, "studies", headers={"If-None-Match": '"7"'})
    assert (answer.status_code, answer.headers["etag"]) == (304, '"7"')
    assert "content-type" not in answer.headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_pacs_that_sends_elsewhere_is_not_followed(made_up: ServedApp, pacs: MadeUpPacs, status: int) -> None:
    pacs.answers["studies"] = Response(b"secret", status, {"Location": f"{made_up.url}/elsewhere"})
    answer = ask(made_up, "studies")
    assert answer.status_code == 502
    assert "sends elsewhere" in answer.json()["detail"]
    assert "location" not in answer.headers
    assert [path for _, path, *_ in pacs.asked] == [b"/pacs/rs/studies"]


def test_head_is_asked_as_head(made_up: ServedApp, pacs: MadeUpPacs) -> None:
    answer = httpx.head(f"{made_up.url}/viewer/dicom-web/studies")
    assert (answer.status_code, answer.content) == (206, b"")
    assert pacs.asked[0][0] == "HEAD"


def test_the_first_part_arrives_before_the_last_was_made(made_up: ServedApp, pacs: MadeUpPacs) -> None:
    with httpx.stream("GET", f"{made_up.url}/viewer/dicom-web/two-parts", timeout=10) as answer:
        parts = answer.iter_raw()
        assert next(parts) == b"first"
        pacs.may_go_on.set()
        assert b"".join(parts) == b"second"


def test_a_client_that_leaves_ends_the_request_to_the_pacs(made_up: ServedApp, pacs: MadeUpPacs) -> None:
    with httpx.stream("GET", f"{made_up.url}/viewer/dicom-web/endless") as answer:
        assert len(next(answer.iter_raw(100_000))) == 100_000
    assert pacs.was_left.wait(timeout=20)


def test_a_client_that_does_not_read_holds_the_pacs_back(made_up: ServedApp, pacs: MadeUpPacs) -> None:
    with httpx.stream("GET", f"{made_up.url}/viewer/dicom-web/endless") as answer:
        next(answer.iter_raw(1))
        seen = [-1]

        def stands_still() -> bool:
            seen.append(pacs.sent_chunks)
            return seen[-1] == seen[-2]

        wait_for(stands_still, seconds=20, what="the PACS to wait for the client")
        # Buffers of sockets hold some megabytes; an answer that is gathered in memory never stands still.
        assert pacs.sent_chunks * 100_000 < 50e6


def test_an_answer_that_breaks_off_does_not_look_complete(made_up: ServedApp) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        ask(made_up, "broken")


def test_a_pacs_that_is_not_there_is_502_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with ServedApp(dicomweb_router(f"http://user:secret@127.0.0.1:{port}/dicom-web")) as proxy:
        answer = ask(proxy, "studies")
    assert answer.status_code == 502
    detail = answer.json()["detail"]
    assert detail.startswith(f"the PACS at {NO_ADDRESS.format(port)} cannot be reached (")
    assert "secret" not in detail


def test_a_pacs_that_does_not_answer_is_504_in_one_line(made_up: ServedApp) -> None:
    answer = ask(made_up, "slow")
    assert answer.status_code == 504
    assert "did not answer in time" in answer.json()["detail"]


def test_sixty_requests_at_once_with_pauses_all_succeed(proxy: ServedApp, dataset: pydicom.Dataset) -> None:
    path = f"{proxy.url}/viewer/dicom-web/{instance_path(dataset)}/frames/1"

    async def run() -> list[int]:
        async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=60), trust_env=False) as client:
            first = await asyncio.gather(*(client.get(path, headers={"Accept": FRAME_ACCEPT}) for _ in range(60)))
            # Longer than Orthanc keeps a connection that idles.
            await asyncio.sleep(1.2)
            second = await asyncio.gather(*(client.get(path, headers={"Accept": FRAME_ACCEPT}) for _ in range(60)))
            return [answer.status_code for answer in first + second]

    assert asyncio.run(run()) == [200] * 120


@pytest.mark.parametrize(("roles", "expected"), [(None, 401), ([], 403), ([settings.MONAI_LABEL_AUTH_ROLE_USER], 206)])
def test_with_monai_labels_sign_in_only_its_users_reach_the_pacs(
    made_up: ServedApp, pacs: MadeUpPacs, monkeypatch: pytest.MonkeyPatch, roles: list[str] | None, expected: int
) -> None:
    def signed_in() -> User:
        if roles is None:
            raise HTTPException(401, "Could not validate credentials")
        return User(username="ann", roles=roles)

    monkeypatch.setattr(settings, "MONAI_LABEL_AUTH_ENABLE", True)
    monkeypatch.setattr(settings, "MONAI_LABEL_DICOMWEB_USERNAME", "server")
    monkeypatch.setattr(settings, "MONAI_LABEL_DICOMWEB_PASSWORD", "word")
    made_up.app.dependency_overrides[get_current_user] = signed_in
    answer = ask(made_up, "studies", headers={"Authorization": "Bearer of the sign-in"})
    assert answer.status_code == expected
    own = "Basic " + base64.b64encode(b"server:word").decode()
    assert [asked[3]["authorization"] for asked in pacs.asked] == ([own] if expected == 206 else [])


def test_a_token_of_the_sign_in_never_reaches_the_pacs(
    made_up: ServedApp, pacs: MadeUpPacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "MONAI_LABEL_AUTH_ENABLE", True)
    user = User(username="ann", roles=[settings.MONAI_LABEL_AUTH_ROLE_USER])
    made_up.app.dependency_overrides[get_current_user] = lambda: user
    assert ask(made_up, "studies", headers={"Authorization": "Bearer of the sign-in"}).status_code == 206
    assert "authorization" not in pacs.asked[0][3]
    # Its 401 would look as if the sign-in had ended.
    pacs.answers["studies"] = Response(b"", 401, {"WWW-Authenticate": "Basic"})
    answer = ask(made_up, "studies", headers={"Authorization": "Bearer of the sign-in"})
    assert answer.status_code == 502
    assert "MONAI_LABEL_DICOMWEB_PASSWORD" in answer.json()["detail"]
    assert "www-authenticate" not in answer.headers


@given(path=st.text(max_size=30), query=st.binary(max_size=10))
def test_any_path_is_refused_or_stays_below_the_root(path: str, query: bytes) -> None:
    with contextlib.suppress(HTTPException):
        target = upstream_target("http://pacs:8080/a/rs", path, query)
        below, _, asked = target.partition(b"?")
        assert asked == query
        assert httpx.URL("http://pacs" + below.decode()).path == f"/a/rs/{path}"
        assert all(32 < byte < 127 for byte in below)


async def _in_pieces(content: bytes, cuts: list[int]) -> AsyncIterator[bytes]:
    edges = [0, *sorted({cut % (len(content) + 1) for cut in cuts}), len(content)]
    for start, end in itertools.pairwise(edges):
        yield content[start:end]


async def _joined(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


@given(
    texts=st.lists(
        st.sampled_from(
            [
                "http://pacs.clinic:8080/rs/studies/1.2",
                "http://pacs.clinic/rs/studies/1.2/bulk/3",
                "https://pacs.clinic:65535/rs/",
                "http://pacs.clinic:8080/rs",
                "http://pacsxclinic:8080/rs/studies",
                "http://elsewhere/rs/studies",
                "see http://pacs.clinic:8080/rs/ for more",
                "http://pacs.clinic:8080/other/studies",
            ]
        )
        | st.text(max_size=10),
        max_size=8,
    ),
    cuts=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_addresses_of_the_pacs_become_ours_wherever_the_text_is_cut(texts: list[str], cuts: list[int]) -> None:
    def expected(text: str) -> str:
        for start in ("http://pacs.clinic:8080/rs/", "http://pacs.clinic/rs/", "https://pacs.clinic:65535/rs/"):
            if text.startswith(start):
                return "/viewer/dicom-web/" + text.removeprefix(start)
        return text

    chunks = _in_pieces(json.dumps(texts).encode(), cuts)
    result = asyncio.run(_joined(replace_addresses(chunks, "http://pacs.clinic:8080/rs")))
    assert json.loads(result) == [expected(text) for text in texts]


@given(content=st.binary(max_size=1000), cuts=st.lists(st.integers(0, 1000), max_size=5))
def test_compressing_in_pieces_is_gzip(content: bytes, cuts: list[int]) -> None:
    assert gzip.decompress(asyncio.run(_joined(compress(_in_pieces(content, cuts))))) == content
