"""Routes that are off, and the setting that switches them on."""

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from apps.calibrated_ensemble.routes.stock.switched_off import switched_off_router
from apps.calibrated_ensemble.settings import STOCK_ROUTES

OF_NAME = {
    "proxy": [("POST", "/proxy/dicom/..%2ftools/shutdown"), ("GET", "/proxy/dicom/wado/studies")],
    "session": [("PUT", "/session/?uncompress=true"), ("GET", "/session/x"), ("DELETE", "/session/x")],
    "upload": [("PUT", "/datastore/image?image=x"), ("PUT", "/datastore/?image=x")],
    "logs": [("GET", "/logs/"), ("GET", "/logs/gpu")],
}
NEVER = [("PUT", "/model/x"), ("GET", "/model/info/x"), ("POST", "/infer/wsi/x"), ("POST", "/infer/wsi_v2/x")]
ALWAYS = [("GET", "/datastore/image"), ("GET", "/datastore/"), ("DELETE", "/datastore/image"), ("POST", "/infer/x")]


def client(*switched_on: str) -> TestClient:
    stock = APIRouter()
    stock.add_api_route("/{path:path}", lambda: "stock", methods=["GET", "POST", "PUT", "DELETE"])
    app = FastAPI()
    app.include_router(switched_off_router(frozenset(switched_on)))
    app.include_router(stock)
    return TestClient(app)


def test_every_name_of_the_setting_is_tried_here() -> None:
    assert set(OF_NAME) == set(STOCK_ROUTES)


@pytest.mark.parametrize("name", STOCK_ROUTES)
def test_routes_are_off_until_the_setting_names_them(name: str) -> None:
    for method, path in OF_NAME[name]:
        answer = client(*set(STOCK_ROUTES) - {name}).request(method, path)
        assert answer.status_code == 404
        assert f"stock_routes {name}" in answer.json()["detail"]
        assert client(name).request(method, path).json() == "stock"


def test_what_this_app_does_not_have_is_always_off_and_the_rest_always_on() -> None:
    everything = client(*STOCK_ROUTES)
    assert {everything.request(method, path).status_code for method, path in NEVER} == {404}
    assert {client().request(method, path).json() for method, path in ALWAYS} == {"stock"}
