"""What routes behind these checks never see."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from apps.calibrated_ensemble.routes.stock.request_checks import PlainAddresses, check_json, json_object
from lib.errors import InputError


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    app.add_api_route("/{name:path}", lambda name, image="": [name, image])
    app.add_middleware(PlainAddresses)
    return TestClient(app)


@pytest.mark.parametrize("address", ["/a%00", "/a%0Ab", "/?image=a%0D%0Ab", "/?a%00=1", "/?image=%C2%85", "/%E2%80%A8"])
def test_control_characters_in_an_address_are_refused(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 422
    assert "control character" in answer.json()["detail"]


def test_names_of_any_language_pass(client: TestClient) -> None:
    assert client.get("/M%C3%BCller%20%23?image=%D7%A9%D7%9D%20[b]").json() == ["Müller #", "שם [b]"]


@pytest.mark.parametrize("text", ["not json", "[1]", '"x"', "5", "null", "[" * 100_000, '{"a": ' + "9" * 5000 + "}"])
def test_what_is_no_json_object_is_refused_with_the_name_of_the_field(text: str) -> None:
    with pytest.raises(InputError, match=r"^params: ") as caught:
        json_object(text, where="params")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["", "{}"])
def test_nothing_is_an_empty_object(text: str) -> None:
    assert json_object(text, where="params") == {}


@pytest.mark.parametrize("value", ["\ud800", ["\x00"], {"\udc00": 1}, float("nan"), {"a": [float("inf")]}])
def test_what_could_not_be_sent_back_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"^info: "):
        check_json({"key": value}, where="info")


def test_what_is_nested_deep_is_refused_and_what_people_send_is_not() -> None:
    deep: Any = "x"
    for _ in range(33):
        deep = [deep]
    with pytest.raises(InputError, match="nested"):
        check_json(deep, where="info")
    fine = {"label_info": [{"name": "Läsion\n2", "idx": 1, "color": [1.5, 0, None]}], "client_id": "ann"}
    assert json_object(json.dumps(fine), where="params") == fine
