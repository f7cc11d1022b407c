"""A label on its way from the screen to the PACS."""

import time

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from tests.apps.servers.running_server import wait_for
from tests.apps.viewer.annotation_site import AnnotationSite, StoredSeries, label_of_file, label_of_segmentation
from tests.apps.viewer.annotator_page import AnnotatorPage, same
from tests.apps.viewer.phantom_series import GEOMETRIES
from tests.apps.viewer.trained_workspace import VALUES

OPEN_BAR_SECONDS, SUBMIT_BAR_SECONDS = 10, 3
CORNER = (0.2, 0.15), (0.3, 0.2)
MIDDLE = (0.4, 0.5), (0.6, 0.55)


def submit(annotator: AnnotatorPage) -> float:
    """Submit, and give the seconds until the server said that the label is saved."""
    start = time.monotonic()
    with annotator.page.expect_response(lambda response: "/datastore/label" in response.url) as answer:
        annotator.page.click("#ce-submit")
    assert answer.value.ok
    return time.monotonic() - start


def assert_arrived(site: AnnotationSite, series: StoredSeries, on_screen: dict[str, np.ndarray]) -> None:
    """The label in the server's file and in the PACS is that on screen, where every voxel lies in the world."""
    assert same(label_of_file(site.saved_label(series.uid), series), on_screen)
    (segmentation,) = site.segmentations(series.uid)
    assert same(label_of_segmentation(segmentation, series, VALUES), on_screen)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_prediction_and_label_travel_voxel_for_voxel(
    site: AnnotationSite, annotator: AnnotatorPage, geometry: str
) -> None:
    series = site.new_series(geometry)
    expected = label_of_file(site.prediction(series.uid), series)
    assert all(any((image == value).any() for image in expected.values()) for value in VALUES.values())
    start = time.monotonic()
    annotator.open(series)
    print(f"{geometry}: open to prediction and heatmap in {time.monotonic() - start:.1f} s (bar {OPEN_BAR_SECONDS} s)")
    annotator.screenshot(f"prediction {geometry}")
    assert same(annotator.label(), expected)
    for class_name in VALUES:
        assert annotator.figure(class_name, "now") == annotator.figure(class_name, "predicted")
        assert annotator.figure(class_name, "predicted").endswith(" %")
        assert annotator.figure(class_name, "added") == annotator.figure(class_name, "removed") == "\N{EN DASH}"
    annotator.draw("Brush", *CORNER)
    annotator.draw("Eraser", *MIDDLE)
    on_screen = annotator.label()
    print(f"{geometry}: submitted in {submit(annotator):.1f} s (bar {SUBMIT_BAR_SECONDS} s)")
    annotator.wait_until_saved(series.uid)
    assert_arrived(site, series, on_screen)
    assert site.is_labelled(series.uid)


def test_the_next_scan_opens_after_a_label_is_saved(site: AnnotationSite, annotator: AnnotatorPage) -> None:
    series = site.new_series()
    annotator.open(series)
    annotator.page.keyboard.press("Control+Enter")
    annotator.wait_until_saved(series.uid)
    if series.uid in annotator.page.url:
        annotator.screenshot("warnings")
        annotator.page.keyboard.press("Shift+n")
    annotator.wait_for_scan_after(series.uid)
    assert annotator.text("ce-notice") == f"The label of “{series.description}” is saved."
    (mine,) = [scan for scan in site.worklist(annotator.client)["scans"] if scan["leased_to_you"]]
    assert mine["id"] == annotator.series


def test_a_scan_that_is_skipped_goes_back_unless_there_is_work_on_it(
    site: AnnotationSite, annotator: AnnotatorPage
) -> None:
    skipped, worked_on = site.new_series(), site.new_series()
    annotator.open(skipped)
    annotator.page.keyboard.press("Shift+n")
    annotator.wait_for_scan_after(skipped.uid)
    annotator.open(worked_on)
    annotator.draw("Brush", *CORNER)
    edited = annotator.label()
    annotator.page.click("#ce-next")
    annotator.wait_for_scan_after(worked_on.uid)
    held = {scan["id"]: scan["leased_to_you"] for scan in site.worklist(annotator.client)["scans"]}
    assert not held[skipped.uid]
    assert held[worked_on.uid]
    annotator.page.click("#ce-worklist-toggle")
    row = annotator.page.locator(f"tr[data-series='{worked_on.uid}']")
    assert "your unfinished work is kept" in row.inner_text()
    row.get_by_role("button").click()
    annotator.page.wait_for_url(lambda url: worked_on.uid in url)
    annotator.wait_until_ready()
    assert same(annotator.label(), edited)


def test_a_label_outlives_a_server_that_is_gone_and_is_sent_again(
    site: AnnotationSite, annotator: AnnotatorPage
) -> None:
    series = site.new_series("oblique")
    annotator.open(series)
    annotator.draw("Brush", *CORNER)
    on_screen = annotator.label()
    site.server.kill()
    try:
        annotator.page.click("#ce-submit")
        annotator.page.wait_for_selector("#ce-problem:not([hidden])")
        assert "not saved" in annotator.text("ce-problem")
        assert annotator.text("ce-submit") == "Send again"
        annotator.screenshot("server gone")
        with annotator.page.expect_download() as download:
            annotator.page.click("#ce-download")
        file = sitk.ReadImage(str(download.value.path()), imageIO="NrrdImageIO")
        assert same(label_of_file(file, series), on_screen)
        assert same(annotator.label(), on_screen)
    finally:
        site.start_server_again()
    submit(annotator)
    annotator.wait_until_saved(series.uid)
    assert_arrived(site, series, on_screen)


def test_an_unfinished_label_is_there_after_the_server_was_gone_and_the_page_closed(
    site: AnnotationSite, annotator: AnnotatorPage
) -> None:
    series = site.new_series()
    annotator.open(series)
    annotator.draw("Brush", *CORNER)
    on_screen = annotator.label()
    annotator.page.route("**/datastore/label*", lambda route: route.abort())
    annotator.page.click("#ce-submit")
    annotator.page.wait_for_selector("#ce-problem:not([hidden])")
    annotator.page.unroute("**/datastore/label*")
    annotator.open(series)
    assert same(annotator.label(), on_screen)


def test_what_the_server_refuses_is_told_and_stays(site: AnnotationSite, annotator: AnnotatorPage) -> None:
    series = site.new_series()
    annotator.open(series)
    before = annotator.label()
    refusal = "lesion: 3 voxels lie outside of the organ; remove them"
    annotator.page.route(
        "**/datastore/label*", lambda route: route.fulfill(status=422, json={"detail": refusal}, headers={})
    )
    annotator.page.click("#ce-submit")
    annotator.page.wait_for_selector("#ce-problem:not([hidden])")
    assert annotator.text("ce-problem") == f"The label was not saved. {refusal}"
    assert annotator.page.is_enabled("#ce-submit")
    assert same(annotator.label(), before)
    assert not site.is_labelled(series.uid)


def test_an_empty_label_is_asked_about(site: AnnotationSite, annotator: AnnotatorPage) -> None:
    series = site.new_series()
    annotator.open(series)
    annotator.clear_label()
    annotator.page.click("#ce-submit")
    annotator.page.click("#ce-no")
    assert not site.is_labelled(series.uid)
    annotator.page.click("#ce-submit")
    annotator.page.click("#ce-yes")
    annotator.wait_until_saved(series.uid)
    wait_for(lambda: site.is_labelled(series.uid), seconds=20, what="the empty label to be stored")
    assert not np.any(sitk.GetArrayFromImage(site.saved_label(series.uid)))
