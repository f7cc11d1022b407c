"""A PACS made up for what a real one does too seldom: it is slow, breaks off, or never ends."""

import asyncio
import threading
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse


class MadeUpPacs:
    """What was asked, and answers that a test decides on.

    Attributes:
        answers: by path below the root, what it answers there; something harmless elsewhere.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Response] = {}
        self.asked: list[tuple[str, bytes, bytes, dict[str, str]]] = []
        self.sent_chunks = 0
        self.was_left = threading.Event()
        self.may_go_on = threading.Event()
        self.router = APIRouter()
        self.router.add_api_route("/pacs/rs/endless", self.endless)
        self.router.add_api_route("/pacs/rs/slow", self.slow)
        self.router.add_api_route("/pacs/rs/two-parts", self.two_parts)
        self.router.add_api_route("/pacs/rs/broken", self.broken)
        self.router.add_api_route("/{path:path}", self.echo, methods=["GET", "HEAD", "POST"])

    def echo(self, request: Request) -> Response:
        scope = request.scope
        self.asked.append((request.method, scope["raw_path"], scope["query_string"], dict(request.headers)))
        answer = self.answers.get(request.url.path.removeprefix("/pacs/rs/"))
        if answer is not None:
            return answer
        hop_by_hop = {"Set-Cookie": "a=b", "Keep-Alive": "timeout=1", "Server": "PACS 1.0", "ETag": '"7"'}
        return Response(b"{}", 206, hop_by_hop, media_type="application/octet-stream")

    async def endless(self) -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            try:
                while True:
                    self.sent_chunks += 1
                    yield bytes(100_000)
                    # To a client that has left, sending takes no time, and nobody would ever be told of it.
                    await asyncio.sleep(0)
            finally:
                self.was_left.set()

        return StreamingResponse(chunks(), media_type="application/octet-stream")

    async def slow(self) -> Response:
        await asyncio.to_thread(self.may_go_on.wait, 30)
        return Response(b"late")

    async def two_parts(self) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"first"
            await asyncio.to_thread(self.may_go_on.wait, 30)
            yield b"second"

        return StreamingResponse(parts(), media_type="application/octet-stream")

    async def broken(self) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"first"

        return StreamingResponse(parts(), headers={"Content-Length": "100"}, media_type="application/octet-stream")
