"""OHIF as installed and served here, in Chromium: it opens a study, little is sent, and nothing twice."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from playwright.sync_api import BrowserContext, sync_playwright
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from apps.calibrated_ensemble.ohif.dicomweb_proxy import dicomweb_router
from apps.calibrated_ensemble.ohif.files import ViewerFiles
from apps.calibrated_ensemble.ohif.viewer_routes import viewer_router
from tests.apps.servers.running_orthanc import RunningOrthanc
from tests.apps.servers.served_app import ServedApp

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
BAR_BYTES = 12e6

STOCK_CONFIG = """
window.config = {
  routerBasename: '/viewer/', extensions: [], modes: [], defaultDataSourceName: 'pacs',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'pacs',
    configuration: {
      qidoRoot: '/viewer/dicom-web', wadoRoot: '/viewer/dicom-web', imageRendering: 'wadors',
      thumbnailRendering: 'wadors', omitQuotationForMultipartRequest: true,
    },
  }],
};
"""

# The voxels on screen: their number and sum, once there are any.
VOXELS = """() => {
  const image = window.cornerstone?.getRenderingEngines()?.[0]?.getViewports()?.[0]?.getImageData?.();
  if (!image) return null;
  const voxels = image.scalarData ?? image.voxelManager.getCompleteScalarDataArray();
  return [voxels.length, voxels.reduce((sum, value) => sum + value, 0)];
}"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")


def study_of(name: str) -> pydicom.Dataset:
    """A study of one image that comes with pydicom; several of these share their identifiers."""
    dataset = pydicom.dcmread(get_testdata_file(name))
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(dataset, keyword, generate_uid())
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


# One slice in each way to compress it without loss; what is on screen must be the voxels of the first.
STUDIES = {
    name: study_of(f"MR_small{suffix}.dcm")
    for name, suffix in {
        "plain": "",
        "RLE": "_RLE",
        "JPEG-LS": "_jpeg_ls_lossless",
        "JPEG 2000": "_jp2klossless",
    }.items()
}


@pytest.fixture(scope="module")
def served(viewer: ViewerFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    own = tmp_path_factory.mktemp("own")
    (own / "app-config.js").write_text(STOCK_CONFIG)
    with RunningOrthanc(tmp_path_factory.mktemp("orthanc")) as orthanc:
        orthanc.store(STUDIES.values())
        with ServedApp(dicomweb_router(orthanc.url), viewer_router(viewer, own_folder=own)) as served:
            yield served


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[BrowserContext]:
    """A browser with an empty cache on disk."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=CHROMIUM,
            args=ARGUMENTS,
            ignore_default_args=["--disable-gpu"],
            viewport={"width": 1200, "height": 800},
        )
        yield context
        context.close()


class Traffic:
    """What a page asks for, as the browser's own network log tells it."""

    def __init__(self, context: BrowserContext):
        self.answers: dict[str, tuple[str, int]] = {}
        self.sizes: dict[str, int] = {}
        self.refused: list[str] = []
        page = context.pages[0]
        page.on("console", lambda message: self._note_console(message.text))
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.responseReceived", self._note_answer)
        session.on("Network.loadingFinished", self._note_size)

    def sent(self, part: str = "") -> int:
        """Bytes as they travelled, of the addresses that hold `part`."""
        return sum(size for key, size in self.sizes.items() if part in self.answers.get(key, ("", 0))[0])

    def _note_answer(self, event: dict[str, Any]) -> None:
        self.answers[event["requestId"]] = event["response"]["url"], event["response"]["status"]

    def _note_size(self, event: dict[str, Any]) -> None:
        self.sizes[event["requestId"]] = event["encodedDataLength"]

    def _note_console(self, text: str) -> None:
        if "Content Security Policy" in text:
            self.refused.append(text)


def open_study(context: BrowserContext, served: ServedApp, name: str) -> list[int]:
    """Open a study and give the number and sum of the voxels on screen."""
    page = context.pages[0]
    page.goto(f"{served.url}/viewer/viewer?StudyInstanceUIDs={STUDIES[name].StudyInstanceUID}")
    voxels = page.wait_for_function(VOXELS, polling=200, timeout=90_000).json_value()
    page.wait_for_load_state("networkidle")
    return voxels


def test_a_first_load_is_small_and_a_second_sends_nothing_again(served: ServedApp, browser: BrowserContext) -> None:
    first = Traffic(browser)
    open_study(browser, served, "plain")
    assert 1e6 < first.sent() < BAR_BYTES
    assert first.sent("/frames/") > 0
    second = Traffic(browser)
    open_study(browser, served, "plain")
    files = second.sent() - second.sent("/dicom-web/")
    # Headers alone, of files that may change: no file is as small as this together.
    assert files < 20_000
    assert second.sent("/frames/") == 0
    print(f"first load {first.sent() / 1e6:.2f} MB, second {second.sent() / 1e3:.1f} kB")


def test_nothing_is_missing_refused_or_asked_for_elsewhere(served: ServedApp, browser: BrowserContext) -> None:
    traffic = Traffic(browser)
    open_study(browser, served, "plain")
    assert len(traffic.answers) > 40
    assert {status for _, status in traffic.answers.values()} <= {200, 304}
    local = (f"{served.url}/viewer/", "data:", "blob:")
    assert not [address for address, _ in traffic.answers.values() if not address.startswith(local)]
    assert not traffic.refused


def test_every_compression_without_loss_shows_the_same_voxels(served: ServedApp, browser: BrowserContext) -> None:
    traffic = Traffic(browser)
    array = STUDIES["plain"].pixel_array
    for name in STUDIES:
        assert open_study(browser, served, name) == [array.size, int(array.sum())], name
    assert not traffic.refused
