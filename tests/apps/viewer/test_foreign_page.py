"""A page of somebody else in the annotator's browser: it can write nothing here, and read nothing."""

import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from playwright.sync_api import Browser, Page

from tests.apps.servers.running_server import wait_for
from tests.apps.servers.served_app import ServedApp
from tests.apps.viewer.annotation_site import AnnotationSite
from tests.apps.viewer.conftest import ARGUMENTS, CHROMIUM

# Every name leads to this machine, as the names of an attacker can.
RULES = "--host-resolver-rules=MAP * 127.0.0.1"
EVIL = "evil.example"

# Tries one request after another, and gives what it could read of each, null for nothing.
FETCH = """async attempts => {
  const read = [];
  for (const [url, options] of attempts) {
    try {
      const answer = await fetch(url, options);
      read.push(answer.type === 'opaque' ? null : await answer.text());
    } catch { read.push(null); }
  }
  return read;
}"""

# Sends a form into a frame of its own, and waits for the answer to be there.
SUBMIT = """([url, type]) => new Promise(done => {
  const frame = document.createElement('iframe');
  frame.name = 'f' + Math.random();
  document.body.append(frame);
  const form = document.createElement('form');
  Object.assign(form, { action: url, method: 'POST', enctype: type, target: frame.name });
  const field = document.createElement('input');
  [field.name, field.value] = ['{"client_id": "evil', '"}'];
  form.append(field);
  document.body.append(form);
  frame.onload = () => { if (frame.dataset.sent) done(); };
  frame.dataset.sent = 'yes';
  form.submit();
  setTimeout(done, 5000);
})"""

# Width of a picture, 0 when it is not shown.
PICTURE = """url => new Promise(done => {
  const image = new Image();
  image.onload = () => done(image.naturalWidth);
  image.onerror = () => done(0);
  image.src = url;
})"""

SCRIPT = """url => new Promise(done => {
  const script = document.createElement('script');
  script.onload = () => done('ran');
  script.onerror = () => done('not loaded');
  script.src = url;
  document.head.append(script);
})"""


@pytest.fixture(scope="module")
def browser(chromium: Browser) -> Iterator[Browser]:
    arguments = [argument for argument in ARGUMENTS if not argument.startswith("--host-resolver-rules")]
    browser = chromium.browser_type.launch(executable_path=CHROMIUM, args=[*arguments, RULES])
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ServedApp]:
    """Another server on this machine."""
    router = APIRouter()
    router.add_api_route("/", lambda: HTMLResponse("<!doctype html><title>Elsewhere</title><body>"))
    with ServedApp(router) as served:
        yield served


@pytest.fixture(params=[EVIL, "127.0.0.1"])
def page(browser: Browser, elsewhere: ServedApp, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of another site, and one of another server on this machine, which is of the same site."""
    page = browser.new_page()
    page.goto(f"http://{request.param}:{elsewhere.port}/")
    yield page
    page.close()


@pytest.fixture(params=["127.0.0.1", socket.gethostname().lower()])
def target(site: AnnotationSite, request: pytest.FixtureRequest) -> str:
    """The server; under a name, browsers do not say for which site they ask, since there is no TLS."""
    return f"http://{request.param}:{site.server.port}"


def statuses(page: Page) -> list[int]:
    """Grows by what the page's requests are answered, also where the browser tells nobody of the answer."""
    found: list[int] = []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.responseReceivedExtraInfo", lambda event: found.append(event["statusCode"]))
    return found


def state(site: AnnotationSite) -> Any:
    """All that a page could change."""
    worklist = site.worklist()
    training = site.server.request("GET", "/train/", params={"check_if_running": "true"}).status_code
    counts = site.server.request("GET", "/datastore/").json()
    return sorted((scan["id"], scan["leased_to"] or "") for scan in worklist["scans"]), training, counts


def writes(target: str, scan: str) -> list[tuple[str, dict[str, Any]]]:
    """Requests that a page may send without asking first, and those for which the browser asks."""
    plain = {"mode": "no-cors", "credentials": "include", "headers": {"Content-Type": "text/plain"}}
    paths = [
        "/activelearning/least_certain",
        f"/worklist/lease?image={scan}",
        "/train/ensemble",
        f"/infer/calibrated_ensemble?image={scan}&output=json",
        "/scoring/estimated_dsc",
        "/reload",
    ]
    simple = [(target + path, {**plain, "method": "POST", "body": '{"client_id": "evil"}'}) for path in paths]
    asked = [
        (f"{target}/datastore/label?image={scan}", {"method": "PUT", "body": "x"}),
        (f"{target}/datastore/image?image=evil", {"method": "PUT", "body": "x"}),
        (f"{target}/datastore/image?id={scan}", {"method": "DELETE"}),
        (
            f"{target}/worklist/lease?image={scan}",
            {"method": "POST", "body": '{"client_id": "evil"}', "headers": {"Content-Type": "application/json"}},
        ),
    ]
    return simple + asked


def test_it_writes_nothing(site: AnnotationSite, page: Page, target: str) -> None:
    scan = site.by_geometry["ascending"].uid
    before, answered = state(site), statuses(page)
    attempts = writes(target, scan)
    assert page.evaluate(FETCH, attempts) == [None] * len(attempts)
    encodings = ("text/plain", "multipart/form-data", "application/x-www-form-urlencoded")
    for encoding in encodings:
        page.evaluate(SUBMIT, [f"{target}/activelearning/least_certain", encoding])
    page.evaluate("url => navigator.sendBeacon(url, '{}')", f"{target}/train/ensemble")
    # They did arrive: what the browser holds back by itself proves nothing of the server.
    sent = len(attempts) + len(encodings) + 1
    wait_for(lambda: bool(page.wait_for_timeout(100)) or len(answered) >= sent, seconds=20, what="all to be answered")
    assert answered == [403] * sent
    assert state(site) == before


def test_it_reads_nothing(site: AnnotationSite, page: Page, target: str) -> None:
    series = site.by_geometry["ascending"]
    instance = f"studies/{series.study}/series/{series.uid}/instances/{series.datasets[0].SOPInstanceUID}"
    reads = [
        "/info/",
        "/worklist/",
        "/datastore/",
        f"/datastore/image?image={series.uid}",
        "/viewer/worklist.html",
        "/viewer/dicom-web/studies",
        f"/viewer/dicom-web/{instance}/frames/1",
    ]
    for options in ({}, {"mode": "no-cors"}, {"credentials": "include"}):
        assert page.evaluate(FETCH, [(target + path, options) for path in reads]) == [None] * len(reads)
    assert page.evaluate(PICTURE, f"{target}/favicon.ico") == 0
    assert page.evaluate(SCRIPT, f"{target}/viewer/app-config.js") == "not loaded"


def test_the_same_from_a_page_of_ours_works(site: AnnotationSite, browser: Browser, target: str) -> None:
    uid = site.by_geometry["ascending"].uid
    page = browser.new_page()
    page.goto(f"{target}/viewer/")
    taken, info = page.evaluate(FETCH, [writes(target, uid)[-1], (f"{target}/info/", {})])
    assert uid in taken
    assert "calibrated_ensemble" in info
    assert page.evaluate(PICTURE, f"{target}/favicon.ico") > 0
    assert page.evaluate(SCRIPT, f"{target}/viewer/app-config.js") == "ran"
    page.close()


def test_a_name_that_leads_here_does_not_make_a_page_ours(site: AnnotationSite, browser: Browser) -> None:
    page = browser.new_page()
    for path in ("/info/", "/viewer/", "/datastore/", "/activelearning/least_certain"):
        answer = page.goto(f"http://{EVIL}:{site.server.port}{path}")
        assert answer is not None
        assert answer.status == 400
        assert f"host '{EVIL}:{site.server.port}': is no known name" in page.inner_text("body")
    # That page has the origin of the server under this name, and may send what it likes.
    before = state(site)
    ours = f"http://{EVIL}:{site.server.port}"
    told = page.evaluate(FETCH, [[url, {**options, "mode": "cors"}] for url, options in writes(ours, "x")])
    assert all(re.search("no known name", text) for text in told)
    assert state(site) == before
    page.close()


def test_a_link_to_a_scan_may_be_followed(site: AnnotationSite, page: Page) -> None:
    page.evaluate("url => { document.body.innerHTML = `<a href='${url}'>scans</a>`; }", f"{site.url}/viewer/")
    page.click("a")
    page.wait_for_selector("#ce-counts")
    assert page.url == f"{site.url}/viewer/worklist.html"
