"""One site and one browser for all tests of the viewer; each test has browsers of its own memory."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ViewportSize, sync_playwright

from apps.calibrated_ensemble.ohif.files import ViewerFiles
from tests.apps.viewer.annotation_site import AnnotationSite
from tests.apps.viewer.annotator_page import AnnotatorPage
from tests.apps.viewer.trained_workspace import train_workspace
from tests.made_once import made_once

CHROMIUM = shutil.which("chromium")
# Rendered by the processor: larger windows are slow.
WINDOW = ViewportSize(width=1200, height=800)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=ARGUMENTS, ignore_default_args=["--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def started_site(
    chromium: Browser, viewer: ViewerFiles, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AnnotationSite]:
    trained, task = made_once(tmp_path_factory, "organ_and_lesion", train_workspace)
    site = AnnotationSite(tmp_path_factory.mktemp("site"), trained=trained, task=task)
    yield site
    site.stop()


@pytest.fixture
def site(started_site: AnnotationSite) -> AnnotationSite:
    """The site; nobody has a scan."""
    started_site.free_all()
    return started_site


@pytest.fixture(scope="package")
def contexts(chromium: Browser) -> list[BrowserContext]:
    """Two browsers that know nothing of each other."""
    return [chromium.new_context(viewport=WINDOW, accept_downloads=True) for _ in range(2)]


@pytest.fixture
def annotators(site: AnnotationSite, contexts: list[BrowserContext]) -> Iterator[list[AnnotatorPage]]:
    """Two annotators; nothing that they do may go wrong unnoticed or ask another machine for anything."""
    pages = [AnnotatorPage(context, site.url) for context in contexts]
    yield pages
    local = (f"{site.url}/", "data:", "blob:")
    elsewhere = [url for page in pages for url in page.asked if not url.startswith(local)]
    failures = [failure for page in pages for failure in page.failures]
    for page in pages:
        page.page.close()
    assert not elsewhere
    assert not failures


@pytest.fixture
def annotator(annotators: list[AnnotatorPage]) -> AnnotatorPage:
    return annotators[0]
