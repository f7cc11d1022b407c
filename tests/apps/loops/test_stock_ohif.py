"""The OHIF that comes in MONAI Label's wheel: its pages, and the requests of its panel."""

import re
from collections.abc import Iterator
from pathlib import Path

import nrrd
import numpy as np
import pytest

from tests.apps.servers.running_server import RunningServer
from tests.tiny_studies import TinyStudies, copy_trained_studies


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> TinyStudies:
    return copy_trained_studies(tmp_path_factory, tmp_path_factory.mktemp("ohif"))


@pytest.fixture(scope="module")
def server(studies: TinyStudies, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    server = RunningServer(studies.folder, tmp_path_factory.mktemp("server"), {"task": str(studies.task)})
    try:
        yield server
        server.stop()
    finally:
        server.kill()


def test_its_page_and_scripts_are_served(server: RunningServer) -> None:
    page = server.request("GET", "/ohif/")
    assert page.headers["content-type"].startswith("text/html")
    scripts = re.findall(r'src="(/ohif/[^"]+\.js)"', page.text)
    assert len(scripts) > 1
    for script in scripts:
        answer = server.request("GET", script)
        assert "javascript" in answer.headers["content-type"]
        assert answer.content


def test_its_panel_gets_a_scan_and_a_label_with_the_values_of_info(server: RunningServer, studies: TinyStudies) -> None:
    models = server.request("GET", "/info/").json()["models"]
    model = next(name for name, entry in models.items() if entry["type"] == "segmentation")
    sample = server.request("POST", "/activelearning/random", json={})
    assert sample.json()["id"] in {files.name for files in studies.unlabelled}
    wish = (
        '{"result_extension": ".nrrd", "result_dtype": "uint8", "result_compress": false, "restore_label_idx": false}'
    )
    found = set()
    for files in studies.phantoms:
        answer = server.request(
            "POST", f"/infer/{model}", params={"image": files.name, "output": "image"}, files={"params": (None, wish)}
        )
        # The panel parses the answer's body as one uncompressed NRRD, and goes by the values.
        file = Path(server.log.parent / f"{files.name}.nrrd")
        file.write_bytes(answer.content)
        label, header = nrrd.read(str(file))
        assert (header["type"], header["encoding"]) == ("uint8", "raw")
        found |= set(np.unique(label).tolist())
    assert found == {0, *models[model]["labels"].values()}
