"""Telling another system, which may fail without harm."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from urllib3.util import Retry

from apps.calibrated_ensemble.retraining.webhook import post_summary

QUICK = Retry(total=3, backoff_factor=0.0, status_forcelist=(503,), allowed_methods=("POST",))


class Receiver(ThreadingHTTPServer):
    """Answers with the statuses that it is given, the last one for ever."""

    def __init__(self, statuses: list[int]):
        self.statuses = statuses
        self.received: list[object] = []

        class Handler(BaseHTTPRequestHandler):
            server: Receiver

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.server.received.append(json.loads(body))
                status = self.server.statuses.pop(0) if len(self.server.statuses) > 1 else self.server.statuses[0]
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook?token=secret"


@pytest.fixture
def receive() -> Iterator[object]:
    servers: list[Receiver] = []

    def start(*statuses: int) -> Receiver:
        server = Receiver(list(statuses))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_summary_arrives_after_a_few_tries(receive: object) -> None:
    server = receive(503, 503, 200)  # type: ignore[operator]
    assert post_summary(server.url, {"outcome": "published"}, retries=QUICK)
    assert server.received == [{"outcome": "published"}] * 3


@pytest.mark.parametrize("status", [404, 302, 503])
def test_a_refusal_is_told_without_the_secret_and_raises_nothing(
    receive: object, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    server = receive(status)  # type: ignore[operator]
    assert not post_summary(server.url, {}, retries=QUICK)
    assert "secret" not in caplog.text
    assert "took no summary" in caplog.text


def test_a_server_that_is_not_there_raises_nothing() -> None:
    assert not post_summary("http://127.0.0.1:9/", {}, retries=QUICK)
