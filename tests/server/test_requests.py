"""What arrives on a connection of a real server: odd heads, upgrades, limits of size and time."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from tests.conftest import serving, wait_until_ready
from tests.server.raw import BODY, ask, connected, head, is_closed, length, read_answer
from tests.service.serving import until

HEAD_SECONDS, REQUEST_SECONDS, IDLE_SECONDS = 1.0, 1.5, 2.0
JAVA = Path(__file__).with_name("Post.java")
UPGRADES = ("h2c", "websocket", "TLS/1.0", "anything")


@pytest.fixture(scope="module")
def impatient(tiny_store: Path, engine_endpoint: str) -> Iterator[str]:
    """A service with short time limits."""
    settings = Settings(
        store=tiny_store,
        head_seconds=HEAD_SECONDS,
        request_seconds=REQUEST_SECONDS,
        idle_seconds=IDLE_SECONDS,
        max_body_bytes=3_000_000,
    )
    with serving(create_app(settings, engines=[engine_endpoint])) as address:
        wait_until_ready(address)
        yield address


@pytest.mark.parametrize("token", UPGRADES)
@pytest.mark.parametrize("is_split", [False, True])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_an_upgrade_is_ignored(server: str, token: str, is_split: bool, is_chunked: bool) -> None:
    """Also when the body comes in a later segment."""
    framing = "Transfer-Encoding: chunked" if is_chunked else length()
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY) if is_chunked else BODY
    first = head(
        "/v1/sentiment", "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {token}", "HTTP2-Settings: AAM", framing
    )
    answer = ask(server, *((first, body) if is_split else (first + body,)))
    assert answer.status == 200
    assert answer.body["results"][0]["label"]


def test_no_byte_of_a_body_is_parsed_as_a_request(server: str) -> None:
    hidden = head("/healthz", method="GET")
    with connected(server) as connection:
        connection.sendall(head("/v1/sentiment", "Connection: Upgrade", "Upgrade: h2c", length(len(hidden))))
        time.sleep(0.2)
        connection.sendall(hidden)
        assert read_answer(connection).body["type"] == "/problems/unreadable-body"
        connection.sendall(head("/v1/sentiment", length()) + BODY)  # and the connection goes on
        assert read_answer(connection).status == 200


def test_pipelined_requests_with_upgrades_are_answered_in_order(server: str) -> None:
    upgrade = head("/v1/sentiment", "Connection: Upgrade", "Upgrade: h2c", length()) + BODY
    with connected(server) as connection:
        connection.sendall(upgrade + head("/healthz", method="GET") + upgrade)
        assert [("results" in read_answer(connection).body) for _ in range(3)] == [True, False, True]


@pytest.mark.skipif(shutil.which("java") is None, reason="no Java here")
def test_the_http_client_of_java(server: str) -> None:
    """It offers HTTP/2 by `Upgrade: h2c` with each first request."""
    ran = subprocess.run(["java", JAVA, f"{server}/v1/sentiment", BODY], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("200 "), ran.stdout
    assert '"label"' in ran.stdout


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST /v1/sentiment HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /health\xffz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"POST /v1/sentiment HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"0" * 4400 + b"2\r\n\r\n{}", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 20_000 + b"\r\n", 431),
    ],
)
def test_what_is_no_request_gets_a_problem_and_the_connection_closes(
    server: str, request_bytes: bytes, status: int
) -> None:
    with connected(server) as connection:
        connection.sendall(request_bytes)
        answer = read_answer(connection)
        assert answer.status == answer.body["status"] == status
        assert answer.headers[b"content-type"] == b"application/problem+json"
        assert answer.headers[b"connection"] == b"close"
        assert answer.headers[b"x-request-id"]
        assert is_closed(connection)


def test_a_head_without_end_is_refused_while_it_arrives(server: str) -> None:
    """And costs neither memory nor the time of others."""
    with connected(server) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: ")
        sent = 0
        try:
            while sent < 60_000_000:
                sent += connection.send(b"a" * 1_000_000)
        except OSError:
            pass  # closed, after the response
        assert httpx.get(f"{server}/healthz").status_code == 200
    with connected(server) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 70_000)
        assert read_answer(connection).status == 431


@pytest.mark.parametrize("trailer", [b"X-A: " + b"a" * 600_000, b"X: a\r\n" * 300])
def test_a_trailer_is_bounded_as_the_head(server: str, trailer: bytes) -> None:
    chunks = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    answer = ask(server, head("/v1/sentiment", "Transfer-Encoding: chunked") + chunks, trailer)
    assert answer.status in (400, 431)


def test_a_damaged_body_ends_its_request(server: str) -> None:
    answer = ask(server, head("/v1/sentiment", "Transfer-Encoding: chunked"), b"5\r\nhello\r\nzz\r\n")
    assert answer.body["type"] == "/problems/malformed-request"


@pytest.mark.parametrize("path", ["/v1/sentiment", "/v1/caption"])
def test_a_damaged_body_of_a_refused_request_is_no_error_of_the_service(
    server: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [f"POST {path} HTTP/1.1", "Host: attacker.example", "Transfer-Encoding: chunked", "", ""]
    answer = ask(server, "\r\n".join(lines).encode(), b"zz\r\nabc\r\n0\r\n\r\n")
    assert answer.body["type"] == "/problems/host-not-allowed"
    time.sleep(0.3)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("framing", ["Expect: 100-continue", "Transfer-Encoding: chunked"])
def test_garbage_after_a_refusal_is_dropped(server: str, framing: str, caplog: pytest.LogCaptureFixture) -> None:
    """The refusal was the last response, so what follows in the same segment gets none."""
    lines = ["POST /v1/sentiment HTTP/1.1", "Host: localhost", framing, "X-Timeout-Ms: 1", "Connection: close", "", ""]
    request = "\r\n".join(lines).encode()
    for garbage in (b"\0\0\r\n\r\n", b"GET /x HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 300):
        with connected(server) as connection:
            connection.sendall(request + garbage)
            assert read_answer(connection).status >= 400
            assert is_closed(connection)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("is_late", [False, True])
def test_an_idle_connection_closes(impatient: str, is_late: bool) -> None:
    """Also when the rest of a body came after the response."""
    with connected(impatient) as connection:
        began = time.monotonic()
        connection.sendall(head("/healthz", length(1), method="GET"))
        if not is_late:
            connection.sendall(b"x")
        assert read_answer(connection).status == 200
        if is_late:
            connection.sendall(b"x")
        assert is_closed(connection)
        assert time.monotonic() - began > IDLE_SECONDS / 2


def test_an_empty_line_after_a_request_is_ignored(server: str, impatient: str) -> None:
    """RFC 9112, section 2.2: old clients send one after a body. It gets no response."""
    request = head("/healthz", method="GET")
    with connected(server) as connection:
        for _ in range(2):
            connection.sendall(request)
            assert read_answer(connection).status == 200
            connection.sendall(b"\r\n")
            time.sleep(0.2)
    with connected(impatient) as connection:
        connection.sendall(request)
        assert read_answer(connection).status == 200
        connection.sendall(b"\r\n")
        assert connection.recv(100) == b""


def test_the_rest_of_a_body_must_come_soon_after_the_response(server: str) -> None:
    """A connection that waits for it is good for nothing else."""
    with connected(server) as connection:
        connection.sendall(head("/healthz", length(1), method="GET"))
        assert read_answer(connection).status == 200
        assert is_closed(connection)


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [(b"", HEAD_SECONDS), (b"P", HEAD_SECONDS), (head("/v1/sentiment", length())[:-2], HEAD_SECONDS)],
)
def test_a_head_that_does_not_come_ends_the_connection(impatient: str, sent: bytes, seconds: float) -> None:
    began = time.monotonic()
    with connected(impatient) as connection:
        connection.sendall(sent)
        if sent:
            answer = read_answer(connection)
            assert answer.body["type"] == "/problems/request-too-slow"
        assert is_closed(connection)
    assert time.monotonic() - began >= seconds


@pytest.mark.parametrize("framing", [length(100_000), "Transfer-Encoding: chunked"])
def test_a_body_that_does_not_come_is_given_up(impatient: str, framing: str) -> None:
    paths = ("/v1/sentiment", "/v1/caption", "/v1/completions", "/hf/translation/translate-en-ko")
    began = time.monotonic()
    with ExitStack() as stack:
        connections = {path: stack.enter_context(connected(impatient)) for path in paths}
        for path, connection in connections.items():
            connection.sendall(head(path, framing) + b"1\r\n{\r\n")
        for path, connection in connections.items():
            answer = read_answer(connection)
            assert time.monotonic() - began >= REQUEST_SECONDS, path
            assert (answer.status, answer.headers[b"connection"]) == (408, b"close"), path
            assert answer.body["type"] == "/problems/request-too-slow", path
            assert is_closed(connection), path


def test_bytes_that_trickle_do_not_extend_the_limits(impatient: str) -> None:
    with connected(impatient) as connection:
        connection.sendall(head("/v1/sentiment", length(1000)))
        with pytest.raises(ConnectionError):
            _trickle(connection, 900)


def _trickle(connection: socket.socket, size: int) -> None:
    for _ in range(size):
        connection.sendall(b" ")
        time.sleep(0.1)


def test_slow_bodies_lock_nobody_out(server: str) -> None:
    """More of them than the service reads at the same time: each announces 2 MB and sends a byte."""
    slow = []
    try:
        for _ in range(300):
            connection = connected(server)
            connection.sendall(head("/v1/sentiment", length(2_000_000)) + b"{")
            slow.append(connection)
        time.sleep(1.2)  # now they count as slow
        for _ in range(20):
            assert httpx.post(f"{server}/v1/sentiment", json={"inputs": "a good film"}).status_code == 200
        large = {"inputs": ["a good film " * 100] * 60}
        assert httpx.post(f"{server}/v1/sentiment", json=large).status_code == 200
    finally:
        for connection in slow:
            connection.close()


def test_a_pipeline_ends_with_its_connection(server: str) -> None:
    """Hanging up cancels the request that runs, not only the last one."""
    before = _counter(server, "unroll_http_requests_total", 'status="499"')
    body = b'{"inputs": "save the file", "max_tokens": 4000, "min_tokens": 4000}'
    with connected(server) as connection:
        until(lambda: not _counter(server, "unroll_pending_requests"))
        connection.sendall((head("/v1/translate", length(len(body))) + body) * 2)
        until(lambda: _counter(server, "unroll_pending_requests") == 1)
    until(lambda: _counter(server, "unroll_http_requests_total", 'status="499"') > before)


def _counter(address: str, name: str, label: str = "") -> float:
    lines = httpx.get(f"{address}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name) and label in line)
