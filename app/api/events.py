"""Server-sent events (WHATWG HTML, section 9.2): an answer that is sent during decoding."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from itertools import chain
from typing import Any

from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.disconnect import UntilDisconnect
from app.api.problems import problem_of
from app.api.routes import Route, match_of
from app.json_pieces import blocks_of, json_pieces
from app.turns import Pauses

log = logging.getLogger("unroll.api")
EVENT_STREAM = "text/event-stream"
_END = b"\n\n"  # of an event
_KEEP_ALIVE = b": keep-alive\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the second keeps nginx from buffering


def event(name: str, data: BaseModel | Mapping[str, object]) -> bytes:
    """An event, with its data as one line of JSON."""
    return f"event: {name}\ndata: {_line(data)}\n\n".encode()


def data_event(data: BaseModel | Mapping[str, object]) -> bytes:
    """An event without a name, as compatible interfaces send them, with its data as one line of JSON."""
    return f"data: {_line(data)}\n\n".encode()


async def event_in_blocks(name: str | None, data: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
    """An event in blocks, for data with members that become JSON piece by piece."""
    head = b"data: " if name is None else f"event: {name}\ndata: ".encode()
    for block in await blocks_of(chain([head], json_pieces(dict(data)), [_END])):
        yield block


def described_stream(description: str, *events: dict[str, Any], example: str) -> dict[str, Any]:
    """The OpenAPI response of an operation that can stream; `itemSchema` describes one event."""
    return {
        "description": description,
        "content": {EVENT_STREAM: {"itemSchema": {"anyOf": list(events)}, "example": example}},
    }


def described_event(name: str | None, form: type[BaseModel]) -> dict[str, Any]:
    """The schema of one event, whose data is a `form` in JSON; `app/api/openapi/document.py` names its parts."""
    data = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": form.model_json_schema(mode="serialization"),
    }
    if name is None:
        return {"type": "object", "properties": {"data": data}, "required": ["data"]}
    return {"type": "object", "properties": {"event": {"const": name}, "data": data}, "required": ["event", "data"]}


def _line(data: BaseModel | Mapping[str, object]) -> str:
    if isinstance(data, BaseModel):
        return data.model_dump_json(exclude_none=True)
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _failure(error: Exception, route: Route | None) -> bytes:
    """The last event of a stream that fails."""
    problem = problem_of(error)
    if problem["status"] == 500:
        log.error("%s failed", route.path if route else "a stream", exc_info=error)
    if route is not None and route.error_members is not None:
        return data_event(route.error_members(problem))
    return event("error", problem)


class EventStream(Response):
    """Sends `events` as they come, and a comment after `keep_alive` idle seconds, so that proxies keep the connection
    open; `until_end` is closed at the end. A failure is the last event: a problem, or the error members of the route's
    clients. A stream that fails within an event of several blocks ends there: clients ignore an event without its end.
    """

    media_type = EVENT_STREAM

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        deadline: float,
        keep_alive: float,
        until_end: AsyncExitStack | None = None,
    ) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._events = events
        self._deadline = deadline
        self._keep_alive = keep_alive
        self._until_end = until_end or AsyncExitStack()
        self._sent_at = 0.0  # time of the last bytes, on the loop's clock
        self._is_within_event = False  # the last bytes were a block of an event, and not its last one

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._until_end:
            await self._stream(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        self._sent_at = loop.time()
        comments = loop.create_task(self._comment(send))
        try:
            async with UntilDisconnect(receive, self._deadline, after=0), aclosing(self._events) as events:
                pauses = Pauses()
                async for item in events:
                    await self._send(send, item)
                    await pauses.pause()
        except ClientDisconnect:
            raise
        except Exception as error:
            match = match_of(scope)
            failure = _failure(error, match.route if match is not None else None)
            if not self._is_within_event:
                await self._send(send, failure)
        finally:
            comments.cancel()
        await send({"type": "http.response.body"})

    async def _send(self, send: Send, item: bytes) -> None:
        self._sent_at = asyncio.get_running_loop().time()
        was_within_event, self._is_within_event = self._is_within_event, not item.endswith(_END)
        try:
            await send({"type": "http.response.body", "body": item, "more_body": True})
        except asyncio.CancelledError:  # the server waits for the client before it takes the item
            self._is_within_event = was_within_event
            raise

    async def _comment(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        while True:
            idle = 0.0 if self._is_within_event else loop.time() - self._sent_at
            if idle < self._keep_alive:
                await asyncio.sleep(self._keep_alive - idle)
            else:
                await self._send(send, _KEEP_ALIVE)
