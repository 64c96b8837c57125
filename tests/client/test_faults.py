"""What goes wrong: refusals and their `Retry-After`, problems, keys, and connections that fail or break.

A real service refuses where it can be made to. What it cannot be made to do is done by a socket that says what it is
told to.
"""

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from unroll_client import (
    ConnectionFailed,
    InvalidRequest,
    NotAllowed,
    NotReady,
    Overloaded,
    ProblemError,
    Retries,
    ServiceFailed,
    TimedOut,
    Timeout,
    UnexpectedAnswer,
    Unroll,
    UnrollClientError,
)

from app.main import create_app
from app.settings import Settings
from tests.client.both_clients import KINDS, Kind, result_of, streamed
from tests.conftest import serving, wait_until_ready
from tests.service.serving import metric

kinds = pytest.mark.parametrize("kind", KINDS)
MOST = 4
SOON = Retries(attempts=3, first_wait=0.01)
ANSWER = {
    "results": [{"label": "good", "score": 1, "polarity": 1, "scores": {"good": 1}, "model": "m", "version": 1}],
    "usage": {"inputs": 1, "source_tokens": 1, "emitted_tokens": 0},
}


@pytest.fixture(scope="module")
def busy(tiny_store: Path, engine_endpoint: str) -> Iterator[str]:
    """A service that accepts only `MOST` inputs at a time."""
    with serving(create_app(Settings(store=tiny_store, max_pending=MOST), engines=[engine_endpoint])) as address:
        wait_until_ready(address)
        yield address


@pytest.fixture(scope="module")
def deserted(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service whose engine's endpoint nobody listens on."""
    nobody = f"ipc://{tmp_path_factory.mktemp('nobody')}/socket"
    with serving(create_app(Settings(store=tiny_store), engines=[nobody])) as address:
        yield address


@contextmanager
def saying(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """The address of a socket that gives each connection the next of `answers`, the last one again and again, and
    hangs up; and the requests that it heard."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    heard.append(request_of(connection))
                    connection.sendall(answers[min(len(heard), len(answers)) - 1])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def request_of(connection: socket.socket) -> bytes:
    """All of a request."""
    heard = b""
    while b"\r\n\r\n" not in heard:
        heard += connection.recv(65536)
    head, _, body = heard.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    while lengths and len(body) < int(lengths[0]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(status: int, content: Any = None, *, body: bytes | None = None, **headers: str) -> bytes:
    body = json.dumps(content).encode() if body is None else body
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def header(request: bytes, name: str) -> str | None:
    head = request.partition(b"\r\n\r\n")[0].decode()
    found = [line.split(": ", 1)[1] for line in head.split("\r\n")[1:] if line.split(":")[0].lower() == name]
    return found[0] if found else None


def sentiment(client: Any) -> Any:
    return client.sentiment("a good film")


@kinds
def test_what_is_refused_by_a_busy_service_is_answered_later(kind: Kind, busy: str) -> None:
    """Three callers, each with as many inputs as are let in at all: by the retries all are answered."""

    def ask(number: int) -> Any:
        texts = [f"save the file {number} {place}" for place in range(MOST)]
        return result_of(
            kind, busy, lambda client: client.translate(texts, max_tokens=300, min_tokens=300), retries=30, timeout=60
        )

    refused = metric(busy, "unroll_refusals_total")
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(ask, range(3)))
    assert [len(results) for results in answers] == [MOST] * 3
    assert metric(busy, "unroll_refusals_total") > refused


@kinds
def test_the_limit_of_a_service_is_heard(kind: Kind, busy: str) -> None:
    texts = [f"film {number}" for number in range(2 * MOST + 1)]
    answers = result_of(kind, busy, lambda client: client.sentiment(texts), concurrency=1)
    assert len(answers) == 2 * MOST + 1


@kinds
def test_a_service_without_engines_is_not_ready(kind: Kind, deserted: str) -> None:
    with pytest.raises(NotReady, match="/readyz") as refusal:
        result_of(kind, deserted, sentiment, retries=1)
    assert refusal.value.type == "/problems/not-ready"
    assert refusal.value.retry_after is not None
    assert refusal.value.retry_after >= 1
    readiness = result_of(kind, deserted, lambda client: client.ready())
    assert not readiness
    assert (readiness.status, readiness.engines_ready) == ("starting", 0)
    with pytest.raises(NotReady):
        streamed(kind, deserted, lambda client: client.stream_translate("a"), retries=1)


@kinds
def test_a_wait_that_is_longer_than_the_time_is_not_waited(kind: Kind, deserted: str) -> None:
    """The service says two seconds; there is one."""
    refused = metric(deserted, "unroll_refusals_total")
    with pytest.raises(NotReady):
        result_of(kind, deserted, sentiment, timeout=1.0)
    assert metric(deserted, "unroll_refusals_total") == refused + 1


@kinds
def test_problems_are_told_with_their_members(kind: Kind, server: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        result_of(kind, server, lambda client: client.translate(["a", "b"], beams=2, temperature=1.0))
    problem = refusal.value
    assert (problem.type, problem.status) == ("/problems/contradictory-options", 422)
    assert problem.title == "Options contradict each other"
    assert problem.detail == str(problem)
    assert set(problem.members["options"]) == {"beams", "temperature"}
    with pytest.raises(InvalidRequest) as missing:
        result_of(kind, server, lambda client: client.sentiment("a", model="nobody"))
    assert missing.value.status == 404
    with pytest.raises(InvalidRequest) as image:
        result_of(kind, server, lambda client: client.caption([b"nothing"]))
    assert image.value.input == 0
    with pytest.raises(InvalidRequest, match="UTF-8"):
        result_of(kind, server, lambda client: client.sentiment("\ud800"))
    with pytest.raises(FileNotFoundError):
        result_of(kind, server, lambda client: client.caption("/nowhere.png"))


@kinds
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("after", ["0", "date", None])
def test_refusals_are_tried_again(kind: Kind, status: int, after: str | None) -> None:
    value = formatdate(time.time() - 5, usegmt=True) if after == "date" else after
    headers: dict[str, Any] = {} if value is None else {"Retry_After": value}
    refusal = answer(status, {"title": "Later"}, **headers)
    with saying(refusal, refusal, answer(200, ANSWER)) as (address, heard):
        assert result_of(kind, address, sentiment, retries=SOON).label == "good"
    assert len(heard) == 3
    with saying(refusal) as (address, heard), pytest.raises(Overloaded if status == 429 else NotReady, match="Later"):
        result_of(kind, address, sentiment, retries=SOON)
    assert len(heard) == 3


@kinds
@pytest.mark.parametrize(
    ("said", "error"),
    [
        (answer(503, {"type": "/problems/model-unavailable", "detail": "broken"}), NotReady),
        (answer(500, {"type": "/problems/internal"}), ServiceFailed),
        (answer(502, body=b"<html>bad gateway</html>"), ServiceFailed),
        (answer(401, {"type": "/problems/wrong-key", "title": "The key"}), NotAllowed),
        (answer(422, {"type": "/problems/empty-input", "input": 0}), InvalidRequest),
        (answer(418, {"type": "/problems/new", "new": [1]}), InvalidRequest),
        (answer(200, {"results": []}), UnexpectedAnswer),
        (answer(200, {**ANSWER, "results": []}), UnexpectedAnswer),
        (answer(200, {**ANSWER, "results": 3}), UnexpectedAnswer),
        (answer(307, Location="https://elsewhere/"), UnexpectedAnswer),
        (answer(200, body=b"<html>a login page</html>"), UnexpectedAnswer),
        (b"", ConnectionFailed),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", ConnectionFailed),
        (b"SSH-2.0\r\n\r\n", ConnectionFailed),
        (answer(200, ANSWER, Content_Encoding="gzip"), UnexpectedAnswer),
    ],
    ids=lambda part: part.__name__ if isinstance(part, type) else "",
)
def test_what_does_not_pass_is_not_tried_again(kind: Kind, said: bytes, error: type[UnrollClientError]) -> None:
    with saying(said) as (address, heard), pytest.raises(error) as raised:
        result_of(kind, address, sentiment, retries=SOON)
    assert len(heard) == 1
    if isinstance(raised.value, ProblemError):
        assert raised.value.status == int(said.split()[1])
    if isinstance(raised.value, ConnectionFailed):
        assert raised.value.sent


@kinds
def test_nobody_listens(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    for question in (sentiment, lambda client: client.models(), lambda client: client.ready()):
        with pytest.raises(ConnectionFailed) as raised:
            result_of(kind, address, question, retries=SOON)
        assert not raised.value.sent


@kinds
def test_a_service_that_comes_up_while_it_is_tried_again(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = taken.getsockname()
    heard: list[bytes] = []

    def come_up() -> None:
        with socket.create_server(place) as listener, listener.accept()[0] as connection:
            heard.append(request_of(connection))
            connection.sendall(answer(200, ANSWER))

    later = threading.Timer(0.3, come_up)
    later.start()
    try:
        retries = Retries(attempts=100, first_wait=0.05, longest_wait=0.05)
        assert result_of(kind, f"http://127.0.0.1:{place[1]}", sentiment, retries=retries).label == "good"
    finally:
        later.join()
    assert len(heard) == 1


@kinds
def test_a_service_that_does_not_answer(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connects, and no more
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TimedOut):
            result_of(kind, address, sentiment, timeout=Timeout(connect=1, total=0.2))


@kinds
@pytest.mark.parametrize("stream", [True, False])
def test_a_body_that_comes_in_drops_is_not_read_for_ever(kind: Kind, stream: bool) -> None:
    media = b"text/event-stream" if stream else b"application/json"
    left = threading.Event()

    def drip(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            request_of(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nContent-Type: %b\r\n\r\n" % media)
            with suppress(OSError):
                while True:
                    connection.sendall(b": keep-alive\n\n")
                    time.sleep(0.01)
        left.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=[listener], daemon=True).start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        ask = partial(streamed, kind, address, lambda client: client.stream_translate("a"))
        with pytest.raises(TimedOut):
            ask(timeout=0.2) if stream else result_of(kind, address, sentiment, timeout=0.2)
        assert left.wait(10)


@kinds
def test_the_wait_that_is_named_is_waited_and_each_try_tells_the_time_that_is_left(kind: Kind) -> None:
    with saying(answer(429, {}, Retry_After="1"), answer(200, ANSWER)) as (address, heard):
        result_of(kind, address, sentiment, timeout=20, retries=SOON)
    told = [int(header(request, "x-timeout-ms") or 0) for request in heard]
    assert told[1] + 900 <= told[0] <= 18_000  # 90 % of it, so that an answer has time to arrive
    with saying(answer(200, ANSWER)) as (address, heard):
        result_of(kind, address, lambda client: client.sentiment("a", timeout_ms=700), timeout=20)
        result_of(kind, address, lambda client: client.sentiment("a", timeout_ms=700), timeout=None)
        result_of(kind, address, sentiment, timeout=None)
    assert [header(request, "x-timeout-ms") for request in heard] == ["700", "700", None]


@kinds
def test_the_key_is_sent(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    with saying(answer(200, ANSWER)) as (address, heard):
        result_of(kind, address, sentiment)
        monkeypatch.setenv("UNROLL_API_KEY", "from the environment")
        result_of(kind, address, sentiment)
        result_of(kind, address, sentiment, api_key="given")
        result_of(kind, address, sentiment, api_key="")
    keys = [header(request, "authorization") for request in heard]
    assert keys == [None, "Bearer from the environment", "Bearer given", None]


@kinds
@pytest.mark.parametrize("end", ["cut", "early", "garbage", "page", "without"])
def test_a_stream_that_breaks_is_not_begun_again(kind: Kind, end: str) -> None:
    begun = b'event: token\ndata: {"input":0,"text":"a"}\n\n'
    done = b'event: done\ndata: {"usage":{"inputs":1,"source_tokens":1,"emitted_tokens":1}}\n\n'
    said = {
        "cut": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000\r\n\r\n" + begun,
        "early": answer(200, body=begun, Content_Type="text/event-stream"),
        "garbage": answer(200, body=begun + b"event: token\ndata: {\n\n", Content_Type="text/event-stream"),
        "without": answer(200, body=begun + done, Content_Type="text/event-stream"),
        "page": answer(200, body=b"<html>", Content_Type="text/html"),
    }[end]
    error = ConnectionFailed if end in ("cut", "early") else UnexpectedAnswer
    with saying(said) as (address, heard), pytest.raises(error):
        streamed(kind, address, lambda client: client.stream_translate("a"), retries=SOON)
    assert len(heard) == 1


def test_a_stream_has_tokens_that_came_before_it_broke() -> None:
    begun = b'event: token\ndata: {"input":0,"text":"a\\u2028b","new":1}\n\nevent: new\ndata: {}\n\n'
    with saying(answer(200, body=begun, Content_Type="text/event-stream")) as (address, _), Unroll(address) as client:
        stream = client.stream_translate("a")
        assert next(stream).text == "a\u2028b"
        with pytest.raises(ConnectionFailed, match="before its end"):
            next(stream)


def test_waits_grow_and_are_bounded() -> None:
    failure = ConnectionFailed("no", sent=False)
    retries = Retries(attempts=9, first_wait=1, longest_wait=6)
    waits = [[retries.wait_after(attempt, failure) or 0 for _ in range(200)] for attempt in range(1, 9)]
    for attempt, drawn in enumerate(waits):
        most = min(6, 2**attempt)
        assert most / 2 < max(drawn) <= most
        assert min(drawn) < most / 4
    assert retries.wait_after(9, failure) is None
    named = [retries.wait_after(1, Overloaded(429, {}, retry_after=8)) or 0 for _ in range(50)]
    assert min(named) >= 8
    assert max(named) <= 10
    assert len(set(named)) > 1
