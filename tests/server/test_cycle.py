"""What is no answer in HTTP does not reach the client as one."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.main import create_app
from app.settings import Settings
from tests.conftest import PATIENCE, serving

PATH, LENGTH = "/healthz", 10
BODIES = {b"shorter": [b"1234", b"5678"], b"longer": [b"1234", b"12345678"], b"equal": [b"1234", b"567890"]}


class Answer:
    """An application that says in a header how long its body is, and may not keep to it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        case: bytes = scope["query_string"]
        parts = BODIES.get(case, [b"1234567890"])
        headers = [(b"content-length", b"%d" % LENGTH)]
        if case == b"split":
            headers.append((b"x-text", b"a\r\nx-injected: b"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number, body in enumerate(parts):
            await send({"type": "http.response.body", "body": body, "more_body": number < len(parts) - 1})
        if case == b"twice":
            await send({"type": "http.response.body", "body": b"again"})


@pytest.fixture(scope="module")
def address(tiny_store: Path, engine_endpoint: str) -> Iterator[str]:
    app = create_app(Settings(store=tiny_store), engines=[engine_endpoint])
    app.router.routes.insert(0, Route(PATH, Answer()))
    with serving(app) as served:
        yield served.removeprefix("http://")


def asked(address: str, case: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    connection.request("GET", f"{PATH}?{case}")
    return connection.getresponse()


def test_a_body_as_long_as_it_says_is_sent(address: str) -> None:
    assert asked(address, "equal").read() == b"1234567890"


def test_a_body_that_is_too_short_ends_the_connection(address: str) -> None:
    with pytest.raises(http.client.IncompleteRead) as caught:
        asked(address, "shorter").read()
    assert caught.value.partial == b"12345678"


def test_no_byte_beyond_the_length_is_sent(address: str) -> None:
    with pytest.raises(http.client.IncompleteRead) as caught:
        asked(address, "longer").read()
    assert caught.value.partial == b"1234"


def test_a_header_with_a_line_break_is_not_sent(address: str) -> None:
    response = asked(address, "split")
    assert response.status == 500
    assert response.getheader("x-injected") is None
    assert response.getheader("x-text") is None


def test_nothing_follows_an_answer(address: str) -> None:
    assert asked(address, "twice").read() == b"1234567890"
    assert asked(address, "equal").status == 200
