"""What is drawn outlives what happens meanwhile: predictions, other tabs, other annotators, closed and kept pages."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from playwright.sync_api import Page, Route

from tests.apps.servers.running_server import wait_for
from tests.apps.viewer.annotation_site import AnnotationSite, label_of_file
from tests.apps.viewer.annotator_page import AnnotatorPage, same

PREDICTION = "**/infer/calibrated_ensemble*"
SUBMISSION = "**/datastore/label*"
LEE = "Dr. Lee (00000000)"
CORNER = (0.2, 0.15), (0.3, 0.15)
OTHER_CORNER = (0.2, 0.85), (0.3, 0.85)
MIDDLE = (0.4, 0.5), (0.6, 0.5)


@contextmanager
def held_back(page: Page, address: str) -> Iterator[list[Route]]:
    """Requests that are held back until a test lets them go on."""
    held: list[Route] = []
    page.route(address, lambda route: held.append(route))
    yield held
    page.unroute(address)


@contextmanager
def answered(page: Page, address: str, answer: dict[str, Any]) -> Iterator[None]:
    """Requests that something before the server answers."""
    page.route(address, lambda route: route.fulfill(**answer))
    yield
    page.unroute(address)


def on_top(strokes: dict[str, np.ndarray], predicted: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {uid: np.where(strokes[uid] > 0, strokes[uid], predicted[uid]) for uid in predicted}


def test_strokes_made_while_the_prediction_is_awaited_stay_on_top_of_it(
    site: AnnotationSite, annotator: AnnotatorPage
) -> None:
    series = site.new_series()
    predicted = label_of_file(site.prediction(series.uid), series)
    with held_back(annotator.page, PREDICTION) as held:
        annotator.go_to(series)
        annotator.wait_until_drawable()
        annotator.draw("Brush", *CORNER)
        first = annotator.label()
        wait_for(lambda: "are kept" in annotator.text("ce-edited"), seconds=20, what="the stroke to be noticed")
        # Work of before the prediction, which a page that was closed meanwhile brings back.
        annotator.page.reload()
        annotator.wait_until_drawable()
        annotator.wait_for_label(lambda label: same(label, first), what="the stroke to be back")
        annotator.begin_stroke("Brush", *MIDDLE)
        with annotator.page.expect_response(PREDICTION):
            held[-1].continue_()
        annotator.page.wait_for_timeout(1000)
        during = annotator.label()
        annotator.hover(0.7, 0.7, steps=8)
        strokes = annotator.label()
        assert max(int(strokes[uid].max()) for uid in strokes) == 1
        assert not same(strokes, during)
        annotator.page.mouse.up()
        annotator.wait_until_ready()
    merged = on_top(strokes, predicted)
    assert not same(merged, predicted)
    assert same(annotator.label(), merged)
    annotator.screenshot("strokes on the prediction")

    for _ in range(3):
        annotator.page.keyboard.press("Control+z")
        annotator.wait_for_label(lambda label: same(label, strokes), what="the prediction alone to be undone")
    annotator.page.keyboard.press("Control+y")
    annotator.wait_for_label(lambda label: same(label, merged), what="the prediction to be there again")
    annotator.draw("Eraser", *MIDDLE)
    annotator.page.keyboard.press("Control+z")
    annotator.wait_for_label(lambda label: same(label, merged), what="a later stroke alone to be undone")

    with held_back(annotator.page, PREDICTION) as held:
        annotator.page.click("#ce-predict")
        with annotator.page.expect_request(PREDICTION):
            annotator.page.click("#ce-yes")
        annotator.draw("Brush", *OTHER_CORNER)
        drawn = annotator.label()
        held[-1].continue_()
        annotator.wait_until_ready()
    since = {uid: np.where(drawn[uid] != merged[uid], drawn[uid], 0) for uid in drawn}
    assert same(annotator.label(), on_top(since, predicted))


def test_one_scan_is_worked_on_in_one_tab_which_another_can_take_over(
    site: AnnotationSite, annotator: AnnotatorPage
) -> None:
    series = site.new_series()
    annotator.open(series)
    annotator.draw("Brush", *CORNER)
    drawn = annotator.label()
    tab = annotator.another_tab()
    try:
        tab.go_to(series)
        tab.wait_for_text("ce-elsewhere", "open in another tab of this browser")
        assert tab.page.is_disabled("#ce-submit")
        tab.screenshot("another tab has the scan")
        tab.page.click("#ce-take-over")
        tab.wait_until_ready()
        assert same(tab.label(), drawn)
        annotator.wait_for_text("ce-elsewhere", "goes on with this scan")
        assert annotator.page.is_disabled("#ce-submit")
        # The scan stays with the browser when the tab that had it closes, since there is work on it.
        annotator.page.goto("about:blank")
        tab.page.goto("about:blank")
        assert site.lease(series.uid, LEE).status_code == 409
    finally:
        tab.page.close()
    assert not tab.failures


def test_a_scan_is_free_once_its_page_is_closed_and_a_kept_page_opens_anew(
    site: AnnotationSite, annotator: AnnotatorPage
) -> None:
    series = site.new_series()
    annotator.open(series)
    served = holder(site, series.uid)
    assert served == annotator.client
    annotator.page.goto("about:blank")
    wait_for(lambda: holder(site, series.uid) is None, seconds=20, what="the scan to be given back")
    annotator.page.go_back()
    annotator.wait_until_ready()
    assert holder(site, series.uid) == served
    # As when the browser brings back a page that it kept.
    with annotator.page.expect_navigation():
        annotator.page.evaluate("() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    annotator.wait_until_ready()
    assert holder(site, series.uid) == served


def test_nothing_goes_on_behind_a_question_and_escape_closes_it(site: AnnotationSite, annotator: AnnotatorPage) -> None:
    series = site.new_series()
    annotator.open(series)
    annotator.clear_label()
    heatmap = annotator.page.is_checked("#ce-heatmap")
    annotator.page.click("#ce-submit")
    for key in ("m", "Control+Enter", "Shift+n", "Control+z"):
        annotator.page.keyboard.press(key)
    dialogs = annotator.page.locator("dialog, [role='dialog']")
    assert dialogs.count() == 1
    assert annotator.page.is_checked("#ce-heatmap") == heatmap
    annotator.page.keyboard.press("Escape")
    annotator.page.wait_for_selector("#ce-question", state="detached")
    assert not any(image.any() for image in annotator.label().values())
    assert not site.is_labelled(series.uid)

    annotator.listed_shortcuts()
    annotator.page.keyboard.press("Control+Enter")
    annotator.page.wait_for_timeout(300)
    assert dialogs.count() == 1
    assert annotator.page.locator("#ce-question").count() == 0


def test_of_two_labels_the_submitter_chooses_and_is_shown_what_looks_odd(
    site: AnnotationSite, annotator: AnnotatorPage
) -> None:
    series = site.new_series()
    annotator.open(series)
    annotator.draw("Brush", *CORNER)
    on_screen = annotator.label()
    sent: list[str] = []
    place = {"class": "lesion", "message": "lesion: 1.2 ml look odd", "lps_mm": [1.0, 2.0, 3.0]}
    conflict = {
        "message": "bob submitted a label of this scan at 2026-11-28 12:40 UTC, after you began",
        "conflict": "label",
        "label_version": "theirs",
        "kept_as": "mine.nrrd",
    }

    def answer(route: Route) -> None:
        started_from = started_from_of(route.request.post_data_buffer or b"")
        sent.append(started_from)
        if started_from != "theirs":
            route.fulfill(status=409, json={"detail": conflict})
            return
        stored = {"warnings": [place["message"], "the label is odd"], "places": [place], "label_version": "mine"}
        route.fulfill(status=200, json=stored)

    annotator.page.route(SUBMISSION, answer)
    annotator.page.click("#ce-submit")
    annotator.page.get_by_text("bob submitted a label").wait_for()
    annotator.screenshot("two labels")
    annotator.page.keyboard.press("Escape")
    annotator.wait_for_text("ce-problem", "it is kept")
    assert same(annotator.label(), on_screen)
    annotator.page.click("#ce-submit")
    annotator.page.click("#ce-mine")
    annotator.wait_for_text("ce-warnings", "the label is odd")
    assert sent == ["", "", "theirs"]
    annotator.page.click("#ce-warnings button")
    wait_for(lambda: np.allclose(annotator.focus(), place["lps_mm"], atol=1e-3), seconds=20, what="the place")
    assert annotator.page.input_value("#ce-heatmap-class") == "lesion"
    # What is submitted after that starts from the label that stands now.
    annotator.page.click("#ce-submit")
    annotator.page.get_by_text("bob submitted a label").wait_for()
    assert sent[-1] == "mine"
    annotator.page.click("#ce-theirs")
    annotator.wait_for_scan_after(series.uid)
    assert "yours is kept on the server as mine.nrrd" in annotator.text("ce-notice")
    annotator.page.unroute(SUBMISSION)


def test_a_label_that_was_submitted_meanwhile_is_told_and_so_is_a_sign_in_that_ended(
    site: AnnotationSite, annotator: AnnotatorPage
) -> None:
    series = site.new_series()
    annotator.open(series)
    page = {"body": "<!doctype html><title>Sign in</title>", "content_type": "text/html"}
    for answer, said in (
        ({"status": 200, **page}, "Your sign-in has ended"),
        ({"status": 302, "headers": {"Location": "/login"}}, "Your sign-in has ended"),
        ({"status": 413, **page}, "client_max_body_size"),
        ({"status": 502, **page}, "does not answer (502)"),
    ):
        with answered(annotator.page, SUBMISSION, answer):
            annotator.page.click("#ce-submit")
            annotator.wait_for_text("ce-problem", said)
        assert "kept in this browser" in annotator.text("ce-problem")
        assert "<" not in annotator.text("ce-problem")
        assert annotator.page.is_enabled("#ce-submit")

    site.submit_prediction(series.uid, LEE)
    annotator.page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    annotator.wait_for_text("ce-lost", "is no unlabelled scan")
    assert "both are kept" in annotator.text("ce-lost")


def holder(site: AnnotationSite, uid: str) -> Any:
    """Who has a scan."""
    (scan,) = [scan for scan in site.worklist()["scans"] if scan["id"] == uid]
    return scan["leased_to"]


def started_from_of(form: bytes) -> str:
    """The version that a submission says it began from."""
    start = form.index(b"{")
    sent, _ = json.JSONDecoder().raw_decode(form[start:].decode("utf-8", "replace"))
    return sent["started_from"]
