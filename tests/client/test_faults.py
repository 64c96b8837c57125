"""Refusals and their `Retry-After`, problems, keys, and connections that fail or break.

A real service refuses where the test can make it refuse. For the rest a socket sends prepared responses.
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
    """A service whose engine does not exist."""
    closed = f"ipc://{tmp_path_factory.mktemp('closed')}/socket"
    with serving(create_app(Settings(store=tiny_store), engines=[closed])) as address:
        yield address


@contextmanager
def saying(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """The address of a socket, and the requests that it received. Each connection gets the next of `answers`, or the
    last one when there are no more."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    received.append(request_of(connection))
                    connection.sendall(answers[min(len(received), len(answers)) - 1])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", received
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def request_of(connection: socket.socket) -> bytes:
    """All of a request."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
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
def test_a_busy_service_answers_a_retry(kind: Kind, busy: str) -> None:
    """Three callers, each with as many inputs as the service accepts: after retries all are answered."""

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
def test_the_client_keeps_to_the_limit_of_the_service(kind: Kind, busy: str) -> None:
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
def test_a_wait_beyond_the_timeout_is_not_started(kind: Kind, deserted: str) -> None:
    """The service says two seconds; the timeout is one."""
    refused = metric(deserted, "unroll_refusals_total")
    with pytest.raises(NotReady):
        result_of(kind, deserted, sentiment, timeout=1.0)
    assert metric(deserted, "unroll_refusals_total") == refused + 1


@kinds
def test_problems_keep_their_members(kind: Kind, server: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        result_of(kind, server, lambda client: client.translate(["a", "b"], beams=2, temperature=1.0))
    problem = refusal.value
    assert (problem.type, problem.status) == ("/problems/contradictory-options", 422)
    assert problem.title == "Options contradict each other"
    assert problem.detail == str(problem)
    assert set(problem.members["options"]) == {"beams", "temperature"}
    with pytest.raises(InvalidRequest) as missing:
        result_of(kind, server, lambda client: client.sentiment("a", model="missing"))
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
def test_refusals_are_retried(kind: Kind, status: int, after: str | None) -> None:
    value = formatdate(time.time() - 5, usegmt=True) if after == "date" else after
    headers: dict[str, Any] = {} if value is None else {"Retry_After": value}
    refusal = answer(status, {"title": "Later"}, **headers)
    with saying(refusal, refusal, answer(200, ANSWER)) as (address, received):
        assert result_of(kind, address, sentiment, retries=SOON).label == "good"
    assert len(received) == 3
    with (
        saying(refusal) as (address, received),
        pytest.raises(Overloaded if status == 429 else NotReady, match="Later"),
    ):
        result_of(kind, address, sentiment, retries=SOON)
    assert len(received) == 3


@kinds
def test_a_lost_request_is_sent_again_on_demand(kind: Kind) -> None:
    retries = Retries(attempts=4, first_wait=0.01, broken=True)
    page, cut = answer(502, body=b"<html>bad gateway</html>"), b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
    with saying(b"", page, cut, answer(200, ANSWER)) as (address, received):
        assert result_of(kind, address, sentiment, retries=retries).label == "good"
    assert len(received) == 4
    with saying(answer(500, {"type": "/problems/internal"})) as (address, received), pytest.raises(ServiceFailed):
        result_of(kind, address, sentiment, retries=retries)
    assert len(received) == 1


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
def test_a_permanent_error_is_not_retried(kind: Kind, said: bytes, error: type[UnrollClientError]) -> None:
    with saying(said) as (address, received), pytest.raises(error) as raised:
        result_of(kind, address, sentiment, retries=SOON)
    assert len(received) == 1
    if isinstance(raised.value, ProblemError):
        assert raised.value.status == int(said.split()[1])
    if isinstance(raised.value, ConnectionFailed):
        assert raised.value.sent


@kinds
def test_a_closed_port_is_a_failed_connection(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    for question in (sentiment, lambda client: client.models(), lambda client: client.ready()):
        with pytest.raises(ConnectionFailed) as raised:
            result_of(kind, address, question, retries=SOON)
        assert not raised.value.sent


@kinds
def test_a_service_that_starts_during_the_retries(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = taken.getsockname()
    received: list[bytes] = []

    def start() -> None:
        with socket.create_server(place) as listener, listener.accept()[0] as connection:
            received.append(request_of(connection))
            connection.sendall(answer(200, ANSWER))

    later = threading.Timer(0.3, start)
    later.start()
    try:
        retries = Retries(attempts=100, first_wait=0.05, longest_wait=0.05)
        assert result_of(kind, f"http://127.0.0.1:{place[1]}", sentiment, retries=retries).label == "good"
    finally:
        later.join()
    assert len(received) == 1


@kinds
def test_a_service_that_does_not_answer(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connects, and no more
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TimedOut):
            result_of(kind, address, sentiment, timeout=Timeout(connect=1, total=0.2))


@kinds
@pytest.mark.parametrize("stream", [True, False])
def test_a_body_that_trickles_ends_at_the_timeout(kind: Kind, stream: bool) -> None:
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
        assert left.wait(100)


@kinds
def test_the_client_waits_for_retry_after_and_sends_the_remaining_time(kind: Kind) -> None:
    with saying(answer(429, {}, Retry_After="1"), answer(200, ANSWER)) as (address, received):
        result_of(kind, address, sentiment, timeout=20, retries=SOON)
    sent = [int(header(request, "x-timeout-ms") or 0) for request in received]
    assert sent[1] + 900 <= sent[0] <= 18_000  # 90 % of it, so that an answer has time to arrive
    with saying(answer(200, ANSWER)) as (address, received):
        result_of(kind, address, lambda client: client.sentiment("a", timeout_ms=700), timeout=20)
        result_of(kind, address, lambda client: client.sentiment("a", timeout_ms=700), timeout=None)
        result_of(kind, address, sentiment, timeout=None)
    assert [header(request, "x-timeout-ms") for request in received] == ["700", "700", None]


@kinds
def test_the_key_is_sent(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    with saying(answer(200, ANSWER)) as (address, received):
        result_of(kind, address, sentiment)
        monkeypatch.setenv("UNROLL_API_KEY", "from the environment")
        result_of(kind, address, sentiment)
        result_of(kind, address, sentiment, api_key="given")
        result_of(kind, address, sentiment, api_key="")
    keys = [header(request, "authorization") for request in received]
    assert keys == [None, "Bearer from the environment", "Bearer given", None]


@kinds
@pytest.mark.parametrize("end", ["cut", "early", "garbage", "page", "without"])
def test_a_broken_stream_is_not_retried(kind: Kind, end: str) -> None:
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
    with saying(said) as (address, received), pytest.raises(error):
        streamed(kind, address, lambda client: client.stream_translate("a"), retries=SOON)
    assert len(received) == 1


def test_a_broken_stream_has_its_first_tokens() -> None:
    begun = b'event: token\ndata: {"input":0,"text":"a\\u2028b","new":1}\n\nevent: new\ndata: {}\n\n'
    with saying(answer(200, body=begun, Content_Type="text/event-stream")) as (address, _), Unroll(address) as client:
        stream = client.stream_translate("a")
        assert next(stream).text == "a\u2028b"
        with pytest.raises(ConnectionFailed, match="broke off before its end"):
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
