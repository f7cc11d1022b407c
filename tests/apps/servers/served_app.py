"""A FastAPI application on a free port, served as the real server is, in a thread of the test."""

import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn
from fastapi import APIRouter, FastAPI

from tests.apps.servers.running_server import wait_for


class ServedApp:
    """Routers behind uvicorn; a context manager.

    Args:
        routers: in the order in which they are asked.
        port: where it listens; a free one by default.

    Attributes:
        url: of the server, without a slash at its end.
        app: for overriding dependencies.
    """

    def __init__(self, *routers: APIRouter, port: int = 0):
        self.app = FastAPI()
        for router in routers:
            self.app.include_router(router)
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_level="warning"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> Self:
        self._thread.start()
        wait_for(lambda: self._server.started, seconds=30, what="the application to be served")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=30)
        self._socket.close()
        assert not self._thread.is_alive()
