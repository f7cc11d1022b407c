"""A scan in the viewer: prediction and heatmap appear, the label is corrected, and nothing of it is lost."""

import numpy as np
import pytest

from tests.apps.servers.running_server import wait_for
from tests.apps.viewer.annotation_site import AnnotationSite
from tests.apps.viewer.annotator_page import AnnotatorPage, same
from tests.apps.viewer.trained_workspace import LESION, ORGAN

# In fractions of the viewport: outside the phantom's organ, and across its middle.
CORNER = (0.2, 0.15), (0.3, 0.15)
MIDDLE = (0.4, 0.5), (0.6, 0.5)
NONE = "\N{EN DASH}"
# Red, green and blue of the organ's outline, and of a heatmap that is sure.
OUTLINE = (230, 159, 0)
MOST_PROBABLE = (253, 231, 37)


def test_the_heatmap_lies_below_the_label_and_never_changes_it(site: AnnotationSite, annotator: AnnotatorPage) -> None:
    series = site.by_geometry["ascending"]
    annotator.open(series)
    before = annotator.label()
    annotator.page.select_option("#ce-heatmap-class", "lesion")
    annotator.slide("ce-opacity", 0.8)
    annotator.slide("ce-threshold", 0.3)
    assert annotator.page.input_value("#ce-opacity") == "0.8"
    assert annotator.page.input_value("#ce-threshold") == "0.3"
    annotator.screenshot("heatmap of the lesion")
    annotator.page.select_option("#ce-heatmap-class", "organ")
    annotator.slide("ce-opacity", 0.99)
    annotator.slide("ce-threshold", 0.01)
    assert (annotator.page.input_value("#ce-opacity"), annotator.page.input_value("#ce-threshold")) == ("1", "0")
    annotator.page.keyboard.press("m")
    annotator.wait_until("() => !document.querySelector('#ce-heatmap').checked")
    annotator.screenshot("heatmap off")
    wait_for(lambda: annotator.outlines(MOST_PROBABLE) == [0], seconds=20, what="the heatmap to be gone")
    annotator.page.check("#ce-heatmap")
    for again in (False, True):
        if again:
            annotator.rebuild_viewport()
        wait_for(
            lambda: min(annotator.outlines(MOST_PROBABLE, OUTLINE)) > 1000,
            seconds=20,
            what="the outline above the heatmap",
        )
    assert same(annotator.label(), before)

    annotator.page.select_option("#ce-heatmap-class", "organ")
    annotator.hover(0.5, 0.25)
    inside = annotator.probability()
    assert inside is not None
    assert inside > 80
    annotator.hover(0.2, 0.1)
    outside = annotator.probability()
    assert outside is not None
    assert outside < 10
    annotator.page.mouse.move(0, 0)
    assert annotator.probability() is None


def test_uncertain_places_come_one_after_the_other_into_the_middle(
    site: AnnotationSite, annotator: AnnotatorPage
) -> None:
    series = site.by_geometry["oblique"]
    annotator.open(series)
    wanted = site.uncertain_places(series.uid)
    assert len(wanted) > 1
    assert annotator.text("ce-place") == f"{len(wanted)} places"
    for number, place in enumerate([*wanted, wanted[0]]):
        annotator.page.keyboard.press("u")
        index = number % len(wanted)
        said = f"{index + 1} of {len(wanted)}, {place['class']}, "
        annotator.wait_until("said => document.querySelector('#ce-place').textContent.startsWith(said)", said)
        assert annotator.page.input_value("#ce-heatmap-class") == place["class"]
        assert np.allclose(annotator.focus(), place["lps_mm"], atol=1e-3)
    annotator.screenshot("uncertain place")


def test_strokes_are_counted_undone_and_survive_a_reload(site: AnnotationSite, annotator: AnnotatorPage) -> None:
    series = site.by_geometry["ascending"]
    annotator.open(series)
    predicted = annotator.label()
    annotator.draw("Brush", *CORNER)
    annotator.draw("Eraser", *MIDDLE)
    edited = annotator.label()
    annotator.wait_for_figure("organ", "added", lambda text: text != NONE)
    annotator.screenshot("brush and eraser")
    voxel_ml = 1.5 * 1.5 * 3 / 1000
    for figure, changed in (
        ("added", sum(((edited[uid] == ORGAN) & (predicted[uid] != ORGAN)).sum() for uid in edited)),
        ("removed", sum(((edited[uid] != ORGAN) & (predicted[uid] == ORGAN)).sum() for uid in edited)),
    ):
        assert changed > 0
        assert float(annotator.figure("organ", figure)[1:-3]) == pytest.approx(changed * voxel_ml, abs=0.05)

    annotator.draw("Brush", (0.2, 0.85), (0.3, 0.85))
    annotator.page.keyboard.press("Control+z")
    annotator.wait_for_label(lambda label: same(label, edited), what="the last stroke to be undone")

    annotator.page.reload()
    annotator.wait_until_ready()
    assert "unfinished work" in annotator.text("ce-notice")
    assert same(annotator.label(), edited)
    assert annotator.figure("organ", "added") != NONE


def test_a_new_prediction_asks_before_it_replaces_edits_and_can_be_undone(
    site: AnnotationSite, annotator: AnnotatorPage
) -> None:
    annotator.open(site.by_geometry["descending"])
    predicted = annotator.label()
    annotator.draw("Brush", *CORNER)
    edited = annotator.label()
    annotator.wait_for_figure("organ", "added", lambda text: text != NONE)

    annotator.page.click("#ce-predict")
    annotator.screenshot("question")
    annotator.page.click("#ce-no")
    assert same(annotator.label(), edited)

    annotator.page.click("#ce-predict")
    annotator.page.click("#ce-yes")
    annotator.wait_for_label(lambda label: same(label, predicted), what="the prediction to be there again")
    annotator.wait_until_ready()
    assert annotator.figure("organ", "added") == NONE
    annotator.page.keyboard.press("Control+z")
    annotator.wait_for_label(lambda label: same(label, edited), what="the edits to be there again")


def test_ohif_offers_our_shortcuts_and_nothing_that_leads_astray(
    site: AnnotationSite, annotator: AnnotatorPage
) -> None:
    annotator.open(site.by_geometry["ascending"])
    annotator.page.keyboard.press("a")
    for words in ("Export", "Download", "Add segment", "Rename", "Delete"):
        assert annotator.page.get_by_text(words).locator("visible=true").count() == 0, words
    assert annotator.page.is_hidden("[data-cy^='segmentation-collapsed-more-btn']")
    assert (
        annotator.page.locator("[data-cy='LabelmapSlicePropagation-btn'], [data-cy='MarkerLabelmap-btn']").count() == 0
    )
    assert annotator.segments() == {ORGAN: "organ", LESION: "lesion"}
    listed = annotator.listed_shortcuts()
    annotator.screenshot("shortcuts")
    assert {"Next uncertain place", "Heatmap on and off", "Submit the label", "Next scan", "Undo"} <= set(listed)
    assert len(set(listed.values())) == len(listed)


def test_a_scan_without_a_lease_is_not_annotated(site: AnnotationSite, annotator: AnnotatorPage) -> None:
    series = site.by_geometry["coronal"]
    site.lease(series.uid, "Dr. Lee (00000000)").raise_for_status()
    address = f"StudyInstanceUIDs={series.study}&SeriesInstanceUIDs={series.uid}"
    annotator.page.goto(f"{site.url}/viewer/calibrated-ensemble?{address}")
    annotator.page.wait_for_selector("#ce-problem:not([hidden])")
    assert "Dr. Lee (00000000) has this scan" in annotator.text("ce-problem")
    assert annotator.page.is_disabled("#ce-submit")
    annotator.screenshot("with somebody else")


def test_a_lease_that_was_lost_meanwhile_is_told(site: AnnotationSite, annotator: AnnotatorPage) -> None:
    series = site.by_geometry["ascending"]
    annotator.open(series)
    site.free_all()
    site.lease(series.uid, "Dr. Lee (00000000)").raise_for_status()
    annotator.page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    annotator.page.wait_for_selector("#ce-lost:not([hidden])")
    assert "Dr. Lee (00000000) has this scan" in annotator.text("ce-lost")
    site.free_all()
    annotator.page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    wait_for(lambda: annotator.text("ce-lost") == "", seconds=20, what="the lease to be back")
