"""The OHIF that comes in MONAI Label's wheel: its pages, and the requests of its panel."""

import re
from collections.abc import Iterator
from pathlib import Path

import nrrd
import numpy as np
import pytest

from tests.apps.servers.running_server import RunningServer
from tests.tiny_studies import TinyStudies, copy_trained_studies

ELSEWHERE = "http://ohif.example:3000"
"""Where another OHIF is served, which the server is told of."""


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> TinyStudies:
    return copy_trained_studies(tmp_path_factory, tmp_path_factory.mktemp("ohif"))


@pytest.fixture(scope="module")
def server(studies: TinyStudies, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    server = RunningServer(
        studies.folder,
        tmp_path_factory.mktemp("server"),
        {"task": str(studies.task), "allowed_hosts": "scans.example", "allowed_origins": ELSEWHERE},
    )
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


def test_one_that_is_served_elsewhere_works_where_a_setting_names_it(
    server: RunningServer, studies: TinyStudies
) -> None:
    page = {"Origin": ELSEWHERE, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    leave = server.request("OPTIONS", "/infer/calibrated_ensemble", headers=page | asked)
    assert leave.status_code == 200
    assert leave.headers["access-control-allow-origin"] == ELSEWHERE
    query = {"image": studies.labelled[0], "output": "image"}
    for method, path, options in (
        ("GET", "/info/", {}),
        ("POST", "/infer/calibrated_ensemble", {"params": query, "files": {"params": (None, "{}")}}),
    ):
        answer = server.request(method, path, headers=page, **options)
        assert answer.ok
        assert answer.headers["access-control-allow-origin"] == ELSEWHERE
        other = server.request(method, path, headers=page | {"Origin": "http://other.example:3000"}, **options)
        assert other.status_code == 403
        assert "access-control-allow-origin" not in other.headers


def test_the_server_goes_by_the_names_that_a_setting_gives(server: RunningServer) -> None:
    assert server.request("GET", "/info/", headers={"Host": "scans.example"}).ok
    own = {"Host": "scans.example", "Origin": "http://scans.example"}
    assert server.request("POST", "/activelearning/random", json={}, headers=own).ok
    assert server.request("GET", "/info/", headers={"Host": "evil.example"}).status_code == 400
    forwarded = {"X-Forwarded-Host": "scans.example", "Origin": "https://scans.example"}
    assert server.request("POST", "/activelearning/random", json={}, headers=forwarded).ok
