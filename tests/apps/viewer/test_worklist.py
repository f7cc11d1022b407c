"""The worklist, and annotators who share it."""

from tests.apps.servers.running_server import wait_for
from tests.apps.viewer.annotation_site import AnnotationSite
from tests.apps.viewer.annotator_page import AnnotatorPage

LEE = "Dr. Lee (00000000)"


def shown(annotator: AnnotatorPage) -> list[str]:
    """The series in the list, from top to bottom."""
    return annotator.page.locator("tbody tr[data-series]").evaluate_all("rows => rows.map(row => row.dataset.series)")


def test_the_list_has_the_least_certain_scans_first_and_counts_them(
    site: AnnotationSite, annotator: AnnotatorPage
) -> None:
    wait_for(
        lambda: all(scan["estimated_dsc"] for scan in site.worklist()["scans"][: len(site.by_geometry)]),
        seconds=120,
        what="the scans to be scored",
    )
    annotator.open_worklist()
    worklist = site.worklist()
    assert shown(annotator) == [scan["id"] for scan in worklist["scans"]]
    counts = worklist["counts"]
    assert annotator.text("ce-counts") == f"{counts['labelled']} labelled, 0 with others, {counts['free']} left"
    first = worklist["scans"][0]
    row = annotator.page.locator("tbody tr").first.inner_text()
    assert first["description"] in row
    assert f"{100 * first['mean_estimated_dsc']:.0f} %" in row
    annotator.screenshot("worklist")


def test_one_click_opens_the_least_certain_scan_and_takes_it(site: AnnotationSite, annotator: AnnotatorPage) -> None:
    annotator.open_worklist()
    free = [scan["id"] for scan in site.worklist()["scans"] if not scan["error"]]
    annotator.page.click("#ce-next")
    annotator.page.wait_for_url("**SeriesInstanceUIDs**")
    annotator.wait_until_ready()
    assert annotator.series == free[0]
    (leased,) = [scan for scan in site.worklist()["scans"] if scan["leased_to"]]
    assert (leased["id"], leased["leased_to"]) == (annotator.series, annotator.client)


def test_a_scan_of_another_annotator_cannot_be_opened_and_says_whose_it_is(
    site: AnnotationSite, annotator: AnnotatorPage
) -> None:
    taken, late = site.by_geometry["coronal"], site.by_geometry["oblique"]
    site.lease(taken.uid, LEE).raise_for_status()
    annotator.open_worklist()
    row = annotator.page.locator(f"tr[data-series='{taken.uid}']")
    assert f"with {LEE} until" in row.inner_text()
    assert row.get_by_role("button").is_disabled()
    assert ", 1 with others," in annotator.text("ce-counts")
    # Taken after the list was shown: the list does not know, the server does.
    site.lease(late.uid, LEE).raise_for_status()
    annotator.page.click(f"button[data-series='{late.uid}']")
    annotator.wait_until("() => document.querySelector('#ce-worklist-problem').textContent")
    assert annotator.text("ce-worklist-problem") == f"{LEE} has this scan"
    assert annotator.page.url.endswith("/viewer/worklist.html")


def test_two_browsers_that_ask_at_once_get_different_scans(
    site: AnnotationSite, annotators: list[AnnotatorPage]
) -> None:
    for page in annotators:
        page.open_worklist()
    for page in annotators:
        page.page.evaluate("() => document.querySelector('#ce-next').click()")
    for page in annotators:
        page.page.wait_for_url("**SeriesInstanceUIDs**")
    for page in annotators:
        page.wait_until_ready()
    assert len({page.series for page in annotators}) == 2
    held = {scan["id"]: scan["leased_to"] for scan in site.worklist()["scans"] if scan["leased_to"]}
    assert held == {page.series: page.client for page in annotators}


def test_two_browsers_never_hold_the_same_scan(site: AnnotationSite, annotators: list[AnnotatorPage]) -> None:
    first, second = annotators
    series = site.by_geometry["ascending"]
    second.open_worklist()
    first.open(series)
    second.page.click(f"button[data-series='{series.uid}']")
    second.wait_until("() => document.querySelector('#ce-worklist-problem').textContent")
    assert second.text("ce-worklist-problem") == f"{first.client} has this scan"
    first.page.click("#ce-leave")
    first.page.wait_for_selector("#ce-counts")
    second.page.click(f"button[data-series='{series.uid}']")
    second.page.wait_for_url(lambda url: series.uid in url)
    second.wait_until_ready()


def test_a_new_name_keeps_the_scans(site: AnnotationSite, annotator: AnnotatorPage) -> None:
    series = site.by_geometry["descending"]
    annotator.open(series)
    before = annotator.client
    # A scan without work is given back by its page; what is held here is as one with work.
    annotator.open_worklist()
    site.lease(series.uid, before).raise_for_status()
    annotator.open_worklist()
    annotator.page.fill("#ce-name", "Dr. Ada Lovelace")
    annotator.page.keyboard.press("Tab")
    annotator.wait_until("() => document.querySelector('#ce-counts').textContent.includes('1 with you')")

    def holder() -> str:
        (scan,) = [scan for scan in site.worklist()["scans"] if scan["id"] == series.uid]
        return scan["leased_to"]

    after = before.replace("Annotator", "Dr. Ada Lovelace")
    wait_for(lambda: holder() == after, seconds=20, what="the scan to be held under the new name")


def test_an_empty_list_says_so(site: AnnotationSite, annotator: AnnotatorPage) -> None:
    for scan in site.worklist()["scans"]:
        site.lease(scan["id"], LEE)
    annotator.open_worklist()
    annotator.page.wait_for_selector("#ce-empty")
    assert "Unlabelled scans that annotators have at present" in annotator.text("ce-empty")
    assert ", 0 left" in annotator.text("ce-counts")
    annotator.screenshot("empty worklist")
    annotator.page.click("#ce-next")
    annotator.page.wait_for_load_state("networkidle")
    assert annotator.page.url.endswith("/worklist.html")


def test_who_has_the_last_scan_stays_with_it(site: AnnotationSite, annotator: AnnotatorPage) -> None:
    series = site.by_geometry["ascending"]
    annotator.open(series)
    for scan in site.worklist()["scans"]:
        site.lease(scan["id"], LEE)
    annotator.page.click("#ce-next")
    annotator.page.get_by_text("This is the last scan").wait_for()
    assert annotator.series == series.uid
    assert site.lease(series.uid, LEE).status_code == 409
