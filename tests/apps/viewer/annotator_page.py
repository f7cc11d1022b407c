"""An annotator's browser: what is clicked and drawn in it, and what is then on screen."""

import base64
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from playwright.sync_api import BrowserContext, Page

from tests.apps.servers.running_server import wait_for
from tests.apps.viewer.annotation_site import StoredSeries

SCREENSHOTS = Path(__file__).resolve().parents[3] / "build" / "screenshots"
OPEN_SECONDS = 90

# The label on screen: for each image its SOPInstanceUID and the pixels.
LABEL = """() => {
  const { cache, metaData } = window.cornerstone;
  const [segmentation] = window.cornerstoneTools.segmentation.state.getSegmentations();
  if (!segmentation) return null;
  const { imageIds, volumeId } = segmentation.representationData.Labelmap;
  return (imageIds ?? cache.getVolume(volumeId).imageIds).map(id => {
    const image = cache.getImage(id);
    const { sopInstanceUID } = metaData.get('sopCommonModule', image.referencedImageId);
    const { rows, columns } = metaData.get('imagePlaneModule', image.referencedImageId);
    let text = '';
    for (const value of image.voxelManager.getScalarData()) text += String.fromCharCode(value);
    return [sopInstanceUID, rows, columns, btoa(text)];
  });
}"""

# Pixels on screen that have the colours of classes.
OUTLINES = """colours => {
  const { canvas } = window.cornerstone.getRenderingEngines()[0].getViewports()[0];
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const counts = colours.map(() => 0);
  for (let n = 0; n < data.length; n += 4)
    colours.forEach((colour, k) => colour.every((value, c) => Math.abs(value - data[n + c]) < 30) && counts[k]++);
  return counts;
}"""

# The heatmap is taken away, and OHIF says that it has rebuilt the viewport, all between two renderings; what is on
# screen is cleared, so that only the next rendering is seen.
REBUILT = """() => {
  const [viewport] = window.cornerstone.getRenderingEngines()[0].getViewports();
  const heatmaps = viewport.getActors().filter(({ referencedId }) => referencedId.startsWith('heatmap of'));
  viewport.removeActors(heatmaps.map(({ uid }) => uid));
  viewport.canvas.getContext('2d').clearRect(0, 0, viewport.canvas.width, viewport.canvas.height);
  const { cornerstoneViewportService: service } = window.services;
  service._broadcastEvent(service.EVENTS.VIEWPORT_DATA_CHANGED, { viewportId: viewport.id });
  return heatmaps.length;
}"""

FOCUS = "() => [...window.cornerstone.getRenderingEngines()[0].getViewports()[0].getCamera().focalPoint]"

CLEAR = """() => {
  const { segmentation } = window.cornerstoneTools;
  const [{ segmentationId, representationData }] = segmentation.state.getSegmentations();
  for (const id of representationData.Labelmap.imageIds)
    window.cornerstone.cache.getImage(id).voxelManager.getScalarData().fill(0);
  segmentation.triggerSegmentationEvents.triggerSegmentationDataModified(segmentationId);
}"""

SEGMENTS = """() => Object.values(window.cornerstoneTools.segmentation.state.getSegmentations()[0].segments)
  .map(({ segmentIndex, label }) => [segmentIndex, label])"""

# A shortcut's row is the largest element around its field that has no other field; its name stands in it or before it.
LISTED_SHORTCUTS = """dialog => [...dialog.querySelectorAll('input')].map(input => {
  let row = input;
  while (row.parentElement.querySelectorAll('input').length === 1) row = row.parentElement;
  return [row.innerText?.trim() || row.previousElementSibling?.innerText.trim(), input.value];
})"""

IS_READY = "() => document.querySelector('#ce-doing')?.hidden && document.querySelector('#ce-submit')"
IS_DRAWABLE = """() => document.querySelector('#ce-doing:not([hidden])')
  && window.cornerstoneTools?.segmentation.state.getSegmentations().length > 0
  && !document.querySelector('#ce-title').textContent.startsWith('Scan')"""
ACTIVE_TOOL = "() => window.cornerstoneTools.ToolGroupManager.getToolGroup('default').getActivePrimaryMouseButtonTool()"


class AnnotatorPage:
    """One page of one browser.

    Attributes:
        page: Playwright's.
        asked: address of every request so far.
        failures: exceptions that nothing caught.
    """

    def __init__(self, context: BrowserContext, url: str, *, remembers: bool = False):
        self.page: Page = context.new_page()
        if not remembers:
            # Files that the browser has are kept from test to test; what the viewer remembers is not.
            origin = {"origin": url, "storageTypes": "local_storage,indexeddb"}
            context.new_cdp_session(self.page).send("Storage.clearDataForOrigin", origin)
        self.asked: list[str] = []
        self.failures: list[str] = []
        self._url = url
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.failures.append(str(error)))

    @property
    def client(self) -> str:
        """By which name the server knows this browser."""
        return self.page.inner_text("#ce-client")

    @property
    def series(self) -> str:
        """SeriesInstanceUID in the page's address."""
        match = re.search(r"SeriesInstanceUIDs=([0-9.]+)", self.page.url)
        assert match, self.page.url
        return match[1]

    def open_worklist(self) -> None:
        self.page.goto(f"{self._url}/viewer/")
        self.page.wait_for_selector("#ce-counts")

    def another_tab(self) -> "AnnotatorPage":
        """Another tab of the same browser."""
        return AnnotatorPage(self.page.context, self._url, remembers=True)

    def go_to(self, series: StoredSeries) -> None:
        """Open a scan by its address."""
        address = f"StudyInstanceUIDs={series.study}&SeriesInstanceUIDs={series.uid}"
        self.page.goto(f"{self._url}/viewer/calibrated-ensemble?{address}")

    def open(self, series: StoredSeries) -> None:
        """Open a scan by its address and wait for prediction and heatmap."""
        self.go_to(series)
        self.wait_until_ready()

    def wait_until(self, condition: str, argument: object = None) -> None:
        """Wait until a function of the page gives something true.

        It is asked now and then: asked at every frame, as is usual, the page is drawn all the time.
        """
        self.page.wait_for_function(condition, arg=argument, polling=100, timeout=1000 * OPEN_SECONDS)

    def wait_until_ready(self) -> None:
        """Wait until the scan on screen has its prediction and heatmap."""
        self.wait_until(IS_READY)
        assert self.text("ce-problem") == ""

    def wait_until_drawable(self) -> None:
        """Wait until the scan on screen can be drawn on; its prediction may not be there yet."""
        self.wait_until(IS_DRAWABLE)

    def wait_for_text(self, element: str, part: str) -> None:
        """Wait until an element says something."""
        says = "([id, part]) => document.getElementById(id)?.textContent.includes(part)"
        self.wait_until(says, [element, part])

    def wait_until_saved(self, uid: str) -> None:
        """Wait until the next scan is open, or the server's warnings about this one are shown."""
        done = "uid => !location.search.includes(uid) || !document.querySelector('#ce-warnings').hidden"
        self.wait_until(done, uid)

    def wait_for_scan_after(self, uid: str) -> None:
        """Wait until another scan than this one is open and ready."""
        self.page.wait_for_url(lambda url: "SeriesInstanceUIDs" in url and uid not in url, timeout=60_000)
        self.wait_until_ready()

    def text(self, element: str) -> str:
        """What an element says."""
        return self.page.locator(f"#{element}").text_content() or ""

    def figure(self, class_name: str, figure: str) -> str:
        """A cell of the table of classes: predicted, now, added or removed."""
        return self.page.inner_text(f"tr[data-class='{class_name}'] td[data-figure='{figure}']")

    def label(self) -> dict[str, np.ndarray]:
        """The label on screen, by SOPInstanceUID."""
        images: list[tuple[str, int, int, str]] = self.page.evaluate(LABEL)
        return {
            uid: np.frombuffer(base64.b64decode(text), np.uint8).reshape(rows, columns)
            for uid, rows, columns, text in images
        }

    def outlines(self, *colours: tuple[int, int, int]) -> list[int]:
        """How many pixels on screen have each of the colours."""
        return self.page.evaluate(OUTLINES, colours)

    def rebuild_viewport(self) -> None:
        """Have the heatmap put back as after a change of the viewport, over a label that is drawn already."""
        assert self.page.evaluate(REBUILT) == 1

    def draw(self, tool: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Draw with a tool of OHIF from place to place, in fractions of the viewport, until the label has changed."""
        before = self.label()
        self.begin_stroke(tool, start, end)
        self.page.mouse.up()
        self.wait_for_label(lambda label: not same(label, before), what=f"{tool} to change the label")

    def begin_stroke(self, tool: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        """The same, but the button of the mouse stays down."""
        self.page.click(f"[data-cy='{tool}-btn']")
        self.wait_until(f"({ACTIVE_TOOL})().startsWith('{'Circular' + tool}')")
        self.hover(*start)
        self.page.mouse.down()
        self.hover(*end, steps=8)

    def clear_label(self) -> None:
        """Erase everything, as a tool of OHIF would, slice by slice."""
        self.page.evaluate(CLEAR)

    def focus(self) -> list[float]:
        """The point in the middle of the viewport, LPS millimetres."""
        return self.page.evaluate(FOCUS)

    def segments(self) -> dict[int, str]:
        """The classes that can be drawn, by their number."""
        return {int(number): name for number, name in self.page.evaluate(SEGMENTS)}

    def listed_shortcuts(self) -> dict[str, str]:
        """OHIF's list of shortcuts: what each does, and its keys."""
        self.page.locator("[data-cy='undefined-btn'][aria-haspopup='menu']").last.click()
        self.page.get_by_role("menuitem", name="Preferences").click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_text("Hotkeys").wait_for()
        return dict(dialog.evaluate(LISTED_SHORTCUTS))

    def hover(self, x: float, y: float, *, steps: int = 1) -> None:
        """Move the cursor, in fractions of the viewport."""
        box = self.page.locator("[data-cy='viewport-pane']").bounding_box()
        assert box
        self.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=steps)

    def slide(self, slider: str, fraction: float) -> None:
        """Click on a slider, in fractions of its length."""
        box = self.page.locator(f"#{slider}").bounding_box()
        assert box
        self.page.mouse.click(box["x"] + fraction * box["width"], box["y"] + box["height"] / 2)

    def probability(self) -> int | None:
        """Percent under the cursor, as the panel says; None when it says nothing."""
        match = re.fullmatch(r"Under the cursor: (\d+) %", self.text("ce-probability"))
        return int(match[1]) if match else None

    def wait_for_figure(self, class_name: str, figure: str, condition: Callable[[str], bool]) -> None:
        """Wait for a cell of the table of classes."""
        wait_for(lambda: condition(self.figure(class_name, figure)), seconds=20, what=f"{figure} of {class_name}")

    def wait_for_label(self, condition: Callable[[dict[str, np.ndarray]], bool], *, what: str) -> None:
        wait_for(lambda: condition(self.label()), seconds=20, what=what)

    def screenshot(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    """Whether two labels are the same, pixel by pixel."""
    return a.keys() == b.keys() and all(np.array_equal(a[uid], b[uid]) for uid in a)
