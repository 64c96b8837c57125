"""One request and its response: uvicorn's cycle, whose reading can fail with an error of ours. Head and body of an
answer are written at once."""

import asyncio
from typing import Any, cast

from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.api.refusals import Refusal
from app.errors import Draining, UnrollError
from app.server.bodies import Body

_UNFINISHED = Refusal(Draining("the service ended before the answer; send the request again"))


class _Joined:
    """A transport that writes the first bytes together with those that follow."""

    def __init__(self, transport: asyncio.Transport, first: bytes = b"") -> None:
        self.first = first
        self._transport = transport

    def write(self, data: bytes) -> None:
        self._transport.write(self.first + data)
        self.first = b""

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def flush(self) -> None:
        if self.first and not self._transport.is_closing():
            self.write(b"")

    def close(self) -> None:
        self.flush()
        self._transport.close()


class _Held(_Joined):
    """Holds the bytes of a head."""

    def write(self, data: bytes) -> None:
        self.first += data


class Cycle(RequestResponseCycle):
    """`arriving` is its body, if it has one. `fail` makes `receive` raise, so that the application answers with the
    problem of the error. With `takes_pieces` its body comes piece by piece, which may take hours."""

    arriving: Body | None = None
    failure: UnrollError | None = None
    takes_pieces = False
    _head: _Joined | None = None  # of the response, until its body follows in the same turn of the event loop

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Run the application. uvicorn cancels it if the service ends first; then the client gets a problem."""

        async def answering(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, send)
            except asyncio.CancelledError:
                if not self.response_started:
                    await _UNFINISHED(scope, receive, send)

        await super().run_asgi(answering)

    async def receive(self) -> ASGIReceiveEvent:
        event = await super().receive()
        if self.failure is not None and event["type"] == "http.request":
            raise self.failure
        return event

    async def send(self, event: ASGISendEvent) -> None:
        transport, head = self.transport, self._head
        if event["type"] == "http.response.start":
            held = _Held(transport)
            await self._send_to(held, event)
            self._head = _Joined(transport, held.first)
            asyncio.get_running_loop().call_soon(self._head.flush)
        elif head is not None and not self.flow.write_paused:
            self._head = None
            await self._send_to(head, event)
            head.flush()
        else:
            await super().send(event)

    async def _send_to(self, joined: _Joined, event: ASGISendEvent) -> None:
        transport, self.transport = self.transport, cast(asyncio.Transport, joined)
        try:
            await super().send(event)
        finally:
            self.transport = transport

    def fail(self, error: UnrollError) -> None:
        """Give up the rest of the body."""
        self.failure = error
        self.keep_alive = False
        self.message_event.set()
