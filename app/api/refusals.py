"""Refusals: prepared responses, sent before any work is done for a request."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache

from starlette.types import Message, Receive, Scope, Send

from app.api.admission import Admission, overloaded
from app.api.problems import KINDS, problem_response
from app.errors import InputError, NotReady, UnrollError, WrongKey
from app.request_context import note_problem

SMALL_BODY = 65_536  # bytes: the server discards a body up to this size and keeps the connection
LINGER_SECONDS = 2.0  # a client that is still sending would lose the response if the connection closed at once
_STARTING_RETRY = 2  # seconds
_LONGEST_LENGTH = 18  # digits of a length that is believed


class Refusal:
    """A prepared response: an ASGI application that ignores the request."""

    def __init__(self, error: UnrollError, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        kind = KINDS[type(error)]
        answer = problem_response(kind, error.detail, **error.facts)
        self.slug = kind.slug
        self.body: Message = {"type": "http.response.body", "body": answer.body}
        self.start: Message = {
            "type": "http.response.start",
            "status": answer.status_code,
            "headers": [*answer.raw_headers, *headers],
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        note_problem(self.slug)
        await send(self.start)
        await send(self.body)


@lru_cache(maxsize=256)
def full(admission: Admission, seconds: int) -> Refusal:
    return Refusal(overloaded(admission, seconds))


@lru_cache(maxsize=1)
def not_ready() -> Refusal:
    detail = "no engine is ready yet; retry when /readyz returns 200"
    return Refusal(NotReady(detail, retry_after_seconds=_STARTING_RETRY))


@lru_cache(maxsize=8)
def wrong_key(detail: str) -> Refusal:
    return Refusal(WrongKey(detail))


def length_of(headers: dict[bytes, bytes]) -> int | None:
    """The announced length of a body, 0 without a body; None if it is not announced or not a plausible number."""
    value = headers.get(b"content-length")
    if value is None:
        return None if b"transfer-encoding" in headers else 0
    return int(value) if value.isdigit() and len(value) <= _LONGEST_LENGTH else None


def is_small(headers: dict[bytes, bytes]) -> bool:
    """Whether the rest of a refused request can be discarded and the connection kept."""
    length = length_of(headers)
    return length is not None and length <= SMALL_BODY and b"expect" not in headers


async def refuse(headers: dict[bytes, bytes], receive: Receive, send: Send, refusal: Refusal) -> None:
    """Send the refusal at once. The server discards a small body. A large one may still be arriving: the connection is
    closed after the client had some time to read the response."""
    if is_small(headers):
        await refusal({}, receive, send)
        return
    note_problem(refusal.slug)
    await send({**refusal.start, "headers": [*refusal.start["headers"], (b"connection", b"close")]})
    await send({**refusal.body, "more_body": True})
    await discard_body(receive)
    await send({"type": "http.response.body"})


async def discard_body(receive: Receive) -> None:
    """Read the rest of a body for some time, for clients that read the response only after sending all of it. The body
    may be damaged or too slow: the response is sent already."""
    with suppress(TimeoutError, InputError):
        async with asyncio.timeout(LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                pass
