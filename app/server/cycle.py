"""A request with its answer: uvicorn's cycle, whose reading can fail with an error of ours. Head and body of an answer
are written at once."""

import asyncio
from collections.abc import Iterable
from typing import Any

from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from app.api.refusals import Refusal
from app.errors import Draining, UnrollError
from app.server.bodies import Body
from app.server.heads import Header

_UNFINISHED = Refusal(Draining("the service ended before the answer; send the request again"))
_WITHOUT_BODY = (204, 304)


class Cycle(RequestResponseCycle):
    """`arriving` is its body, if it has one. `fail` makes `receive` raise, so that the application answers with the
    problem of the error. With `takes_pieces` its body comes piece by piece, which may take hours."""

    arriving: Body | None = None
    failure: UnrollError | None = None
    takes_pieces = False
    _head = b""  # of the response, until its body follows in the same turn of the event loop

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
        """Answer, or wait while the client does not read. Raises RuntimeError for what is no answer in HTTP."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if event["type"] == "http.response.start" and not self.response_started:
            self._start(event["status"], event.get("headers", ()))
        elif event["type"] == "http.response.body" and self.response_started and not self.response_complete:
            self._continue(event.get("body", b""), more=event.get("more_body", False))
        else:
            raise RuntimeError(f"{event['type']} cannot follow here")

    def _start(self, status: int, headers: Iterable[Header]) -> None:
        """Hold the head until the end of this turn of the event loop."""
        headers = [*self.default_headers, *headers]
        length, is_last = None, False
        for name, value in headers:
            if name == b"content-length":
                length = int(value)
            elif name == b"connection":
                is_last = is_last or b"close" in value.lower()
        self.keep_alive = self.keep_alive and not is_last
        self.expected_content_length = length or 0
        self.chunked_encoding = length is None and self.scope["method"] != "HEAD" and status not in _WITHOUT_BODY
        if not (self.keep_alive or is_last):
            headers.append((b"connection", b"close"))
        if self.chunked_encoding:
            headers.append((b"transfer-encoding", b"chunked"))
        fields = b"\r\n".join([b"%b: %b" % header for header in headers])
        if not fields.count(b"\r") == fields.count(b"\n") == len(headers) - 1:
            raise RuntimeError("a header has a line break")
        self.response_started, self.waiting_for_100_continue = True, False
        self._head = b"%b%b\r\n\r\n" % (STATUS_LINE[status], fields)
        asyncio.get_running_loop().call_soon(self._write_head)

    def _continue(self, body: bytes, *, more: bool) -> None:
        """Write the next bytes of the body, with the head before the first ones."""
        if self.scope["method"] == "HEAD":
            body, self.expected_content_length = b"", 0
        elif self.chunked_encoding:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body += b"" if more else b"0\r\n\r\n"
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("the body is longer than Content-Length")
        head, self._head = self._head, b""
        self.transport.write(head + body)
        if more:
            return
        if self.expected_content_length:
            raise RuntimeError("the body is shorter than Content-Length")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _write_head(self) -> None:
        """The body has not followed yet."""
        head, self._head = self._head, b""
        if head and not self.transport.is_closing():
            self.transport.write(head)

    def fail(self, error: UnrollError) -> None:
        """Give up the rest of the body."""
        self.failure = error
        self.keep_alive = False
        self.message_event.set()
