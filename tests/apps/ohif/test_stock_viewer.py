"""The files of the OHIF in MONAI Label's wheel, and nothing else."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from apps.calibrated_ensemble.ohif.stock_viewer import stock_viewer_router


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    folder = tmp_path / "ohif"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("page")
    (folder / "assets" / "a.js").write_text("script")
    (tmp_path / "secret").write_text("secret")
    app = FastAPI()
    app.include_router(stock_viewer_router(folder))
    return TestClient(app)


def test_files_are_sent_with_their_type(client: TestClient) -> None:
    answer = client.get("/ohif/assets/a.js")
    assert (answer.text, "javascript" in answer.headers["content-type"]) == ("script", True)


@pytest.mark.parametrize("path", ["", "viewer", "assets", "..%2fsecret", "%2e%2e", "%2fetc%2fpasswd", "x" * 5000])
def test_everything_else_is_the_page(client: TestClient, path: str) -> None:
    assert client.get(f"/ohif/{path}").text == "page"
