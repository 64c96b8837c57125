"""Server-sent events (WHATWG HTML, section 9.2): an answer that is sent during decoding."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.disconnect import UntilDisconnect
from app.api.problems import problem_of
from app.api.routes import match_of

log = logging.getLogger("unroll.api")
EVENT_STREAM = "text/event-stream"
_KEEP_ALIVE = b": keep-alive\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the second is for nginx, which would collect them


def event(name: str, data: BaseModel | Mapping[str, object]) -> bytes:
    """One event, its data JSON in one line."""
    return f"event: {name}\ndata: {_line(data)}\n\n".encode()


def error_event(problem: Mapping[str, object]) -> bytes:
    """The event of an answer that ends in a problem."""
    return event("error", problem)


def data_event(data: BaseModel | Mapping[str, object]) -> bytes:
    """An event without a name, as other interfaces send them, its data JSON in one line."""
    return f"data: {_line(data)}\n\n".encode()


def described_stream(description: str, *events: dict[str, Any], example: str) -> dict[str, Any]:
    """The OpenAPI response of an operation that can stream; `itemSchema` is that of one event."""
    return {
        "description": description,
        "content": {EVENT_STREAM: {"itemSchema": {"anyOf": list(events)}, "example": example}},
    }


def described_event(name: str | None, form: type[BaseModel]) -> dict[str, Any]:
    """The schema of one event, whose data are a `form` in JSON; `app/api/openapi/document.py` names its parts."""
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


class EventStream(Response):
    """Sends `events` as they come, and a comment whenever nothing was sent for `keep_alive` seconds, so that nobody on
    the way takes the connection for dead. A failure is an event of its problem, which `failed` makes, and the last."""

    media_type = EVENT_STREAM

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        deadline: float,
        keep_alive: float,
        failed: Callable[[Mapping[str, object]], bytes] = error_event,
    ) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._events = events
        self._deadline = deadline
        self._keep_alive = keep_alive
        self._failed = failed
        self._sent = 0.0  # when something was sent, on the loop's clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        self._sent = loop.time()
        comments = loop.create_task(self._comment(send))
        try:
            async with UntilDisconnect(receive, self._deadline), aclosing(self._events) as events:
                async for item in events:
                    await self._send(send, item)
        except ClientDisconnect:
            raise
        except Exception as error:
            kind = problem_of(error)
            if kind["status"] == 500:
                match = match_of(scope)
                log.error("%s failed", match.route.path if match else "a stream", exc_info=error)
            await self._send(send, self._failed(kind))
        finally:
            comments.cancel()
        await send({"type": "http.response.body"})

    async def _send(self, send: Send, item: bytes) -> None:
        self._sent = asyncio.get_running_loop().time()
        await send({"type": "http.response.body", "body": item, "more_body": True})

    async def _comment(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        while True:
            silent = loop.time() - self._sent
            if silent < self._keep_alive:
                await asyncio.sleep(self._keep_alive - silent)
            else:
                await self._send(send, _KEEP_ALIVE)
