"""Server-sent events, cut into chunks anywhere, against httpx-sse."""

import random

import pytest
from httpx import Request, Response
from httpx_sse import EventSource
from unroll_client.events import Event, EventDecoder

BODIES = [
    'event: token\ndata: {"text":"파일 a\u2028b"}\n\nevent: done\ndata: {}\n\n',
    "data: one\ndata:two\ndata\n\n: comment\n\nevent: named\n\ndata: after\n\n",
    "event: a\r\ndata: 1\r\n\r\nevent: b\rdata: 2\r\rid: 3\nretry: 4\nother: 5\ndata:  two spaces\n\n",
    "data: cut off before its empty line\n",
    "\n\n\ndata: x\n\n",
    "",
]


def reference(body: bytes) -> list[Event]:
    response = Response(200, headers={"Content-Type": "text/event-stream"}, content=body, request=Request("GET", "/"))
    events = EventSource(response).iter_sse()
    return [Event(event.event if event.event != "message" else "", event.data) for event in events]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_events_are_those_of_httpx_sse(body: str) -> None:
    content = body.encode()
    expected = reference(content)
    draw = random.Random(5)
    for _ in range(200):
        decoder = EventDecoder()
        events, rest = [], content
        while rest:
            size = draw.randint(1, len(rest))
            events += decoder.decode(rest[:size])
            rest = rest[size:]
        assert [event for event in events if event.data] == [event for event in expected if event.data]


def test_a_byte_order_mark_is_no_text() -> None:
    assert EventDecoder().decode(b"\xef\xbb\xbfdata: a\n\n") == [Event("", "a")]
