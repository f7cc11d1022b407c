"""A night asked of a server: what is sent, and what each refusal means. The real server is in loops/."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, HTTPException, Request

from apps.calibrated_ensemble.retraining.on_server import retrain_on_server
from apps.calibrated_ensemble.retraining.options import RetrainingOptions, options_of_request
from lib.errors import BusyError, InputError, ProductError, UnreachableError
from lib.publication.gate import GateTolerance
from tests.apps.servers.served_app import ServedApp


class Answers:
    """What a server of this app would answer."""

    def __init__(self) -> None:
        self.refusal: int | None = None
        self.fails = False
        self.nights: list[dict[str, Any]] = [{"outcome": "published", "started": "yesterday"}]
        self.asked: list[tuple[dict[str, Any], str | None]] = []
        self._polls = 0

    def router(self) -> APIRouter:
        router = APIRouter()

        @router.get("/progress/figures")
        def figures() -> dict[str, Any]:
            return {"nights": self.nights}

        @router.post("/train/ensemble")
        def start(body: dict[str, Any], request: Request) -> dict[str, str]:
            if self.refusal is not None:
                raise HTTPException(self.refusal, "no")
            self.asked.append((body, request.headers.get("Authorization")))
            return {"status": "SUBMITTED"}

        @router.get("/train/")
        def state() -> dict[str, Any]:
            self._polls += 1
            if self._polls == 1:
                return {"status": "RUNNING"}
            if self.fails:
                return {"status": "ERROR", "details": ["first", "the disk is full", ""]}
            self.nights = [{"outcome": "nothing_to_do", "started": "today"}, *self.nights]
            return {"status": "DONE", "details": []}

        return router


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def url(answers: Answers) -> Iterator[str]:
    with ServedApp(answers.router()) as app:
        yield app.url


def test_the_server_is_told_the_options_and_the_summary_is_that_of_this_night(answers: Answers, url: str) -> None:
    options = RetrainingOptions(3, 14.0, True, 7.0, GateTolerance(0.02, 0.03), webhook="http://127.0.0.1:9/")
    summary = retrain_on_server(url + "/", options, token="secret", seconds_between=0)
    assert summary["started"] == "today"
    ((body, token),) = answers.asked
    assert token == "Bearer secret"
    assert options_of_request(body["retrain"]) == RetrainingOptions(3, 14.0, True, 7.0, GateTolerance(0.02, 0.03))


@pytest.mark.parametrize(
    ("status", "error"), [(429, BusyError), (401, InputError), (403, InputError), (404, InputError)]
)
def test_a_refusal_says_what_to_do(answers: Answers, url: str, status: int, error: type[Exception]) -> None:
    answers.refusal = status
    with pytest.raises(error, match=r"queue|sign-in|administrator|address"):
        retrain_on_server(url, RetrainingOptions(), seconds_between=0)


def test_a_failed_night_is_told_with_the_last_line_of_its_log(answers: Answers, url: str) -> None:
    answers.fails = True
    with pytest.raises(ProductError, match="the disk is full"):
        retrain_on_server(url, RetrainingOptions(), seconds_between=0)


def test_a_server_that_is_not_there_is_said_to_be_unreachable() -> None:
    with pytest.raises(UnreachableError, match="does not answer"):
        retrain_on_server("http://127.0.0.1:9", RetrainingOptions())


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"min_new_labels": 0}, "retrain.min_new_labels"),
        ({"max_hours": "soon"}, "retrain.max_hours"),
        ({"webhook": "http://elsewhere"}, "retrain.webhook"),
        ({"dice_tolerance": 2}, "retrain.dice_tolerance"),
        (None, "retrain"),
    ],
)
def test_a_wrong_request_names_its_key(given: object, key: str) -> None:
    with pytest.raises(InputError, match=f"^{key}: is "):
        options_of_request(given)
