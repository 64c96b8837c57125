"""Admission: its logic on a virtual clock, and over HTTP."""

import json
import math
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from app.api.admission import Admission, Ticket
from app.api.head_check import seconds_of
from app.api.refusals import full
from app.api.window import Window
from app.errors import Overloaded
from app.main import create_app
from app.request_context import ARRIVED
from app.settings import Settings
from tests.clock import Clock
from tests.conftest import PATIENCE, running, serving, wait_until_ready
from tests.service.serving import serving as serving_process


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admission(clock: Clock) -> Admission:
    window = Window(least=1, most=100, target=1, clock=clock)
    return Admission(most_inputs=4, most_steps=1000, window=window, clock=clock)


def admitted(admission: Admission, inputs: int = 1, steps: float = 10) -> Ticket:
    ticket = Ticket(admission)
    ticket.count_inputs(inputs)
    ticket.count_steps(steps)
    return ticket


def answered(admission: Admission, clock: Clock, *, steps: float, seconds: float) -> None:
    ticket = admitted(admission, steps=steps)
    clock.now += seconds
    ticket.answered(None)
    ticket.close()


def test_inputs_are_bounded(admission: Admission) -> None:
    tickets = [admitted(admission) for _ in range(4)]
    assert admission.refuses(math.inf)
    with pytest.raises(Overloaded) as refused:
        admitted(admission)
    assert refused.value.facts["retry_after_seconds"] == 1
    tickets[0].close()
    admitted(admission)


def test_several_inputs_need_room_for_all(admission: Admission) -> None:
    admitted(admission, inputs=3)
    assert not admission.refuses(math.inf)
    with pytest.raises(Overloaded):
        admitted(admission, inputs=2)
    assert admission.inputs == 3


def test_steps_are_bounded(admission: Admission) -> None:
    """A small request is admitted while fewer steps are pending, whatever its own cost."""
    admitted(admission, steps=900)
    last = admitted(admission, steps=250)
    assert admission.refuses(math.inf)
    with pytest.raises(Overloaded):
        admitted(admission)
    last.close()
    assert not admission.refuses(math.inf)


def test_a_large_request_that_does_not_fit_is_refused_itself(admission: Admission) -> None:
    """And is not the reason to refuse those after it."""
    small = admitted(admission, steps=100)
    large = Ticket(admission)
    large.count_inputs(1)
    with pytest.raises(Overloaded):
        large.count_steps(901)
    large.close()
    assert not admission.refuses(math.inf)
    assert admission.figures() == {"requests": 1, "inputs": 1, "steps": 100}
    small.close()
    alone = admitted(admission, steps=5000)  # of several workers, a share may be less than one request
    alone.count_steps(5000)  # prepared once more
    assert admission.refuses(math.inf)


def test_what_has_not_been_read_counts_as_nothing(admission: Admission, clock: Clock) -> None:
    answered(admission, clock, steps=200, seconds=2)
    slow = [Ticket(admission) for _ in range(1000)]
    clock.now += 1000
    assert admission.figures() == {"requests": 0, "inputs": 0, "steps": 0}
    assert admission.rate == pytest.approx(100, rel=0.15)
    assert not admission.refuses(1)
    for ticket in slow:
        ticket.close()
    assert admission.figures() == {"requests": 0, "inputs": 0, "steps": 0}


def test_the_window_bounds_requests(clock: Clock) -> None:
    window = Window(least=2, most=4, target=1, clock=clock)
    admission = Admission(most_inputs=100, most_steps=1000, window=window, clock=clock)
    for _ in range(60):  # a standing queue of two seconds
        ticket = admitted(admission)
        clock.now += 0.2
        ticket.answered(clock.now + 1.8)
        ticket.close()
    assert window.size == 2
    for _ in range(2):
        admitted(admission)
    assert admission.refuses(math.inf)


@pytest.mark.parametrize(("before", "after"), [(2.0, 0.0), (0.0, 2.0)])
def test_a_busy_front_end_is_a_queue_too(clock: Clock, before: float, after: float) -> None:
    """Engines begin every request at once and answer it within 0.1 s, but it waits for two seconds until the
    application begins, or its answer does."""
    window = Window(least=2, most=4, target=1, clock=clock)
    admission = Admission(most_inputs=100, most_steps=1000, window=window, clock=clock)
    for _ in range(60):
        clock.now += before
        ticket = Ticket(admission, waited=before)
        ticket.count_inputs(1)
        ticket.count_steps(10)
        started = clock.now
        clock.now += 0.1 + after
        ticket.answered(started, started + 0.1)
        ticket.close()
    assert window.size == 2
    for _ in range(10):
        admitted(admission)
    assert admission.is_too_late(1.5)


def test_rate_is_that_of_answered_steps(admission: Admission, clock: Clock) -> None:
    assert admission.rate == 0
    for _ in range(200):
        answered(admission, clock, steps=50, seconds=0.5)
    assert admission.rate == pytest.approx(100, rel=0.05)
    clock.now += 1000  # nothing is pending, so the rate stays
    assert admission.rate == pytest.approx(100, rel=0.05)


def test_what_was_not_answered_is_not_counted(admission: Admission, clock: Clock) -> None:
    ticket = admitted(admission, steps=500)
    clock.now += 1
    ticket.close()
    assert admission.rate == 0


def test_retry_follows_from_the_queue(admission: Admission, clock: Clock) -> None:
    answered(admission, clock, steps=100, seconds=1)
    assert admission.retry_after() == 1
    several = admitted(admission, steps=450)
    assert admission.retry_after() == 5  # 450 steps at 100 a second
    several.close()
    admitted(admission, steps=1e9)
    assert admission.retry_after() == 60


def test_what_would_come_too_late_is_not_worth_the_work(admission: Admission, clock: Clock) -> None:
    answered(admission, clock, steps=200, seconds=2)
    assert not admission.is_too_late(0.001)
    for _ in range(3):
        admitted(admission, steps=100)  # 3 seconds of work
    assert admission.is_too_late(5.2)  # more than a safe share of the timeout
    assert not admission.is_too_late(6.0)
    assert admission.refuses(5.2)
    with pytest.raises(Overloaded):
        admission.check_time(5.2)


def test_more_at_a_time_than_before_holds_nobody_up(admission: Admission, clock: Clock) -> None:
    """Sequential requests of one client: their rate is that of the client, not the capacity of larger batches."""
    for _ in range(5):
        answered(admission, clock, steps=100, seconds=5)
    for _ in range(3):
        admitted(admission, steps=250)  # 38 seconds at the rate of one after another
    assert not admission.is_too_late(60)
    for _ in range(20):  # now other requests wait
        answered(admission, clock, steps=1, seconds=40)
    assert admission.is_too_late(60)


@pytest.mark.parametrize(
    ("header", "query", "seconds"),
    [
        (b"250", b"", 0.25),
        (None, b"", math.inf),
        (b"soon", b"", math.inf),  # refused later, with the mistake
        (b"1" * 5000, b"", math.inf),
        (None, b"timeout_ms=40", 0.04),
        (b"250", b"model=a&timeout_ms=40&max_tokens=3", 0.04),  # the request takes precedence
        (b"250", b"not_timeout_ms=40", 0.25),
        (None, b"timeout_ms=soon", math.inf),
        (None, b"timeout_ms=0", math.inf),
    ],
)
def test_the_head_has_the_time_for_which_an_answer_is_of_use(
    header: bytes | None, query: bytes, seconds: float
) -> None:
    assert seconds_of({} if header is None else {b"x-timeout-ms": header}, query) == seconds


def test_a_refusal_is_made_once(admission: Admission) -> None:
    assert full(admission, 3) is full(admission, 3)
    assert json.loads(full(admission, 3).body["body"])["retry_after_seconds"] == 3


@pytest.fixture(scope="module")
def tight(tiny_store: Path, engine_endpoint: str) -> Iterator[str]:
    """A service that admits one input at a time."""
    settings = Settings(store=tiny_store, max_pending=1, max_body_bytes=3_000_000)
    with serving(create_app(settings, engines=[engine_endpoint])) as address:
        wait_until_ready(address)
        yield address


def test_what_waited_for_the_application_counts(tiny_store: Path, engine_endpoint: str) -> None:
    """Its timeout and its times begin when the server had read its head."""
    app = create_app(Settings(store=tiny_store), engines=[engine_endpoint])

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[ARRIVED] = time.monotonic() - 5
        await app(scope, receive, send)

    with running(late) as address:
        wait_until_ready(address)
        whole = httpx.post(f"{address}/v1/sentiment", json={"inputs": "a good film"})
        timed_out = httpx.post(
            f"{address}/v1/sentiment", json={"inputs": "a good film"}, headers={"X-Timeout-Ms": "1000"}
        )
    assert whole.status_code == 200
    assert float(whole.headers["server-timing"].rpartition("total;dur=")[2]) > 5000
    assert timed_out.status_code == 504


def test_the_times_of_a_burst_include_its_waiting(tiny_store: Path, engine_endpoint: str) -> None:
    """The front end begins a few requests in each turn of its event loop: the last one waits for most of the burst."""
    body = json.dumps({"inputs": "a good film"}).encode()
    with serving(create_app(Settings(store=tiny_store), engines=[engine_endpoint])) as address, ExitStack() as stack:
        wait_until_ready(address)
        connections = [stack.enter_context(connected(address)) for _ in range(400)]
        for connection in connections:
            connection.sendall(head("/v1/sentiment", len(body)) + body)
        began, longest = time.monotonic(), 0.0
        for connection in connections:
            status, headers, _ = read_answer(connection)
            assert status == 200
            longest = max(longest, float(headers[b"server-timing"].rpartition(b"total;dur=")[2]) / 1000)
        whole = time.monotonic() - began
    assert longest > whole / 2


def test_a_pipelined_request_does_not_wait_until_its_turn(tiny_store: Path, engine_endpoint: str, endless: str) -> None:
    """Only its own client keeps it waiting, so that is no queue of the service."""
    long = json.dumps({"inputs": endless, "max_tokens": 4000, "min_tokens": 4000}).encode()
    short = json.dumps({"inputs": "a good film"}).encode()
    with serving(create_app(Settings(store=tiny_store), engines=[engine_endpoint])) as address:
        wait_until_ready(address)
        with connected(address) as connection:
            requests = head("/v1/translate", len(long)) + long + head("/v1/sentiment", len(short)) + short
            connection.sendall(requests)
            file = connection.makefile("rb")
            seconds = []
            for _ in range(2):
                status, headers, _ = read_from(file)
                assert status == 200
                seconds.append(float(headers[b"server-timing"].rpartition(b"total;dur=")[2]) / 1000)
    assert seconds[1] < seconds[0] / 2


def head(path: str, length: int) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode()


def connected(address: str) -> socket.socket:
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)


def read_answer(connection: socket.socket) -> tuple[int, dict[bytes, bytes], dict[str, object]]:
    return read_from(connection.makefile("rb"))


def read_from(file: BinaryIO) -> tuple[int, dict[bytes, bytes], dict[str, object]]:
    status = int(file.readline().split()[1])
    headers = dict(line.rstrip().lower().split(b": ", 1) for line in iter(file.readline, b"\r\n"))
    return status, headers, json.loads(file.read(int(headers[b"content-length"])))


@pytest.fixture
def occupied(tight: str, endless: str) -> Iterator[str]:
    """The service with an admitted request that is not answered for a while."""
    body = json.dumps({"inputs": endless, "max_tokens": 4000, "min_tokens": 4000}).encode()
    with connected(tight) as connection:
        end = time.monotonic() + PATIENCE
        while "unroll_pending_requests 1.0" not in httpx.get(f"{tight}/metrics").text:
            connection.sendall(head("/v1/translate", len(body)) + body)
            assert time.monotonic() < end, "the request was never admitted"
            time.sleep(0.1)
        yield tight


def test_refusal_says_when_to_come_again(occupied: str) -> None:
    answer = httpx.post(f"{occupied}/v1/sentiment", json={"inputs": "a good film"})
    assert answer.status_code == 429
    body = answer.json()
    assert body["type"] == "/problems/overloaded"
    assert int(answer.headers["retry-after"]) == body["retry_after_seconds"] >= 1
    assert "Overloaded (limits: " in body["detail"]
    refused = 'unroll_http_requests_total{route="/v1/sentiment",status="429"}'
    assert refused in httpx.get(f"{occupied}/metrics").text


def test_refusal_does_not_wait_for_the_body(occupied: str) -> None:
    with connected(occupied) as connection:
        connection.sendall(head("/v1/translate", 1000))
        assert read_answer(connection)[0] == 429
        connection.sendall(bytes(1000) + head("/v1/translate", 2) + b"{}")  # the connection stays open
        assert read_answer(connection)[0] == 429


def test_refusal_of_a_large_body_closes_the_connection(occupied: str) -> None:
    with connected(occupied) as connection:
        connection.sendall(head("/v1/caption", 2_000_000))
        status, headers, _ = read_answer(connection)
        assert (status, headers[b"connection"]) == (429, b"close")


def test_client_that_sends_all_before_it_listens_gets_the_refusal(occupied: str) -> None:
    with connected(occupied) as connection:
        connection.sendall(head("/v1/caption", 20_000_000))
        connection.sendall(bytes(20_000_000))
        assert read_answer(connection)[0] == 429


@pytest.mark.parametrize("length", [12, 2_000_000])
@pytest.mark.parametrize(
    "path", ["/v1/completions", "/hf/image-to-text/caption-en", "/v2/models/lm-en/infer", "/v2/models/lm-en/generate"]
)
def test_refusals_have_what_other_clients_read(occupied: str, path: str, length: int) -> None:
    with connected(occupied) as connection:
        connection.sendall(head(path, length))
        status, _, problem = read_answer(connection)
    assert status == 429
    error = problem["error"]
    assert problem["detail"] == (error["message"] if isinstance(error, dict) else error)
    assert isinstance(error, str) == path.startswith(("/hf/", "/v2/"))


def test_other_paths_are_not_counted(occupied: str) -> None:
    assert httpx.get(f"{occupied}/v1/models").status_code == 200
    assert httpx.get(f"{occupied}/v1/sentiment").status_code == 405


def test_what_is_over_makes_room(tight: str) -> None:
    end = time.monotonic() + PATIENCE
    while "unroll_pending_requests 0.0" not in httpx.get(f"{tight}/metrics").text:  # a client has just hung up
        assert time.monotonic() < end, "the request of a client that hung up is still pending"
        time.sleep(0.05)
    for _ in range(3):
        assert httpx.post(f"{tight}/v1/sentiment", json={"inputs": "a good film"}).status_code == 200
    text = httpx.get(f"{tight}/metrics").text
    assert "unroll_pending_requests 0.0" in text
    assert "unroll_pending_steps 0.0" in text


def test_after_sigterm_whoever_is_connected_is_answered_for_the_last_time(tiny_store: Path) -> None:
    """Connections with a partial body, with a partial head, and with no bytes yet."""
    with serving_process(tiny_store, "--engines", "1") as served, connected(served.address) as slow:
        body = json.dumps({"inputs": "a good film"}).encode()
        slow.sendall(head("/v1/sentiment", len(body)) + body[:5])
        time.sleep(0.3)  # in which the head arrives
        with connected(served.address) as late, connected(served.address) as silent:
            late.sendall(head("/v1/sentiment", len(body))[:-2])  # all but the end of the head
            os.kill(served.process.pid, signal.SIGTERM)
            time.sleep(0.2)  # longer than a tick of uvicorn
            late.sendall(b"\r\n" + body)
            silent.sendall(head("/v1/sentiment", len(body)) + body)
            slow.sendall(body[5:])
            for connection in (late, silent, slow):
                status, headers, _ = read_answer(connection)
                assert (status, headers[b"connection"]) == (200, b"close")
        assert served.process.wait(PATIENCE) == 0
