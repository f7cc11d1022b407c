"""The lead's page in a real browser, beside its JSON."""

import shutil
from collections.abc import Iterator

import pytest
import requests
from fastapi import APIRouter
from playwright.sync_api import Page, sync_playwright

from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from apps.calibrated_ensemble.progress_page.figures import progress_figures
from apps.calibrated_ensemble.progress_page.page import render_page
from apps.calibrated_ensemble.project import Project
from apps.calibrated_ensemble.routes.progress import progress_router
from tests.apps.progress_page.test_figures import balls, project, trained
from tests.apps.servers.served_app import ServedApp

__all__ = ["balls", "project", "trained"]


class Described:
    """A datastore that knows the study of each scan."""

    def get_image_info(self, image: str) -> dict[str, str]:
        return {"StudyInstanceUID": f"1.2.{ord(image)}"}


class Listed(ScanRegister):
    """A list that is as it should be."""

    def synchronise(self, *, always: bool = False) -> None:
        pass


@pytest.fixture
def served(project: Project) -> Iterator[ServedApp]:
    viewer = APIRouter()

    @viewer.get("/viewer/calibrated-ensemble")
    def opened(StudyInstanceUIDs: str, SeriesInstanceUIDs: str) -> dict[str, str]:  # noqa: N803
        return {"study": StudyInstanceUIDs, "series": SeriesInstanceUIDs}

    register = Listed(None, project.engine)  # type: ignore[arg-type]
    with ServedApp(progress_router(project, Described(), register), viewer) as app:  # type: ignore[arg-type]
        yield app


@pytest.fixture
def page() -> Iterator[Page]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1366, "height": 768})
        browser.close()


def test_what_is_drawn_is_what_the_json_says_and_a_link_opens_the_scan(served: ServedApp, page: Page) -> None:
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: None if request.url.startswith(served.url) else problems.append(request.url))
    page.goto(f"{served.url}/progress/")
    figures = requests.get(f"{served.url}/progress/figures", timeout=30).json()

    def drawn(chart: str, kind: str) -> list[float]:
        marks = page.locator(f"#chart-{chart} {kind}[data-value]").all()
        return [float(mark.get_attribute("data-value") or "nan") for mark in marks]

    assert drawn("dice", "circle") == [row["mean_dice"] for row in figures["generations"]]
    assert drawn("calibration", "circle") == [0.034]
    assert drawn("estimates", "rect") == [one["scans"] for one in figures["estimates"]["bins"]]
    assert page.locator('td[data-scans="free"]').inner_text() == str(figures["scans"]["free"])
    assert page.locator("#chart-dice .hollow").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    # With the keyboard alone: whatever can be reached in turn, until the first scan.
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == figures["worklist"][0]["scan"]:
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/viewer/**")
    assert figures["worklist"][0]["study"] in page.url
    assert f"SeriesInstanceUIDs={figures['worklist'][0]['scan']}" in page.url
    assert problems == []


def test_the_page_runs_nothing_and_asks_nobody_else(served: ServedApp) -> None:
    answer = requests.get(f"{served.url}/progress/", timeout=30)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "<script" not in answer.text
    assert "://" not in answer.text


def test_names_are_text(project: Project) -> None:
    figures = progress_figures(project, lambda _: None)
    figures["worklist"][0]["scan"] = figures["labels"][0]["annotator"] = "<b>&</b>"
    html = render_page(figures, viewer="/viewer")
    assert "<b>" not in html
    assert html.count("&lt;b&gt;") == 2
