"""A stream that fails within an event of several blocks: what a client can read of it is whole."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from app.api.events import EventStream, event
from app.errors import EngineFailed
from tests.api.sse import Event, events_of

FIRST = event("token", {"text": "a"})
LARGE = [b'event: result\ndata: {"text":"', b"a" * 70_000, b'"}\n\n']


def sent(blocks: list[bytes], *, taken: int, fails: bool) -> str:
    """The text of a stream. The client takes some of its blocks; then the deadline passes, or the service fails."""

    async def items() -> AsyncGenerator[bytes, None]:
        for block in blocks:
            yield block
        if fails:
            raise EngineFailed("no")
        await asyncio.sleep(60)

    async def scenario() -> str:
        body: list[bytes] = []
        is_waiting = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(60)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            """Like a server whose client reads slowly: it waits before it takes the block after `taken`."""
            if len(body) == taken and not is_waiting.is_set() and message.get("body"):
                is_waiting.set()
                await asyncio.sleep(60)
            if message.get("body"):
                body.append(message["body"])

        stream = EventStream(items(), deadline=time.monotonic() - 0.9, keep_alive=60)
        await stream({"type": "http", "path": "/", "method": "POST"}, receive, send)
        return b"".join(body).decode()

    return asyncio.run(scenario())


def whole_events(text: str) -> list[Event]:
    """What a client reads: it ignores an event without its end."""
    end = text.rfind("\n\n") + 2
    return events_of(text[:end])


@pytest.mark.parametrize("taken", [0, 1, 2, 3, 9])
def test_a_deadline_never_breaks_an_event(taken: int) -> None:
    events = whole_events(sent([FIRST, *LARGE], taken=taken, fails=False))
    names = [one.name for one in events]
    assert (
        names
        == {
            0: ["error"],
            1: ["token", "error"],
            2: ["token"],
            3: ["token"],
            9: ["token", "result", "error"],
        }[taken]
    )
    assert all(one.data["type"] == "/problems/timed-out" for one in events if one.name == "error")


def test_a_failure_never_breaks_an_event() -> None:
    assert [one.name for one in whole_events(sent([FIRST, *LARGE[:2]], taken=9, fails=True))] == ["token"]
    assert [one.name for one in whole_events(sent([FIRST, *LARGE], taken=9, fails=True))] == [
        "token",
        "result",
        "error",
    ]
