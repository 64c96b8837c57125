"""What arrives at once on one connection is parsed in pieces, and only while its client reads."""

import asyncio
import gc
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from app.main import create_app
from app.server.cycle import Cycle
from app.server.intake import Intake
from app.settings import Settings
from tests.conftest import PATIENCE, serving, wait_until_ready
from tests.server.raw import BODY, connected, head, length, read_answer

SECONDS = 2.0


@pytest.fixture(scope="module")
def locked(tiny_store: Path, engine_endpoint: str) -> Iterator[str]:
    """A service with keys, and a short limit for requests."""
    settings = Settings(
        store=tiny_store, request_seconds=SECONDS, idle_seconds=SECONDS, api_keys=SecretStr('{"keys": []}')
    )
    with serving(create_app(settings, engines=[engine_endpoint])) as address:
        wait_until_ready(address)
        yield address


def _fill(connection: socket.socket, request: bytes) -> int:
    """Send requests until the other end takes no more; the number of bytes sent."""
    connection.settimeout(0.5)
    many, sent = request * 2000, 0
    try:
        while sent < 200_000_000:
            sent += connection.send(many)
    except TimeoutError:
        pass
    return sent


def _is_established(server: int, client: int) -> bool:
    """Whether the server's end of the connection between these ports is open."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = f":{server:04X}", f":{client:04X}"
    return any(
        one.endswith(ends[0]) and other.endswith(ends[1]) and state == "01" for _, one, other, state, *_ in lines
    )


REFUSED = b"POST /v1/sentiment HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWERED = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("request_bytes", [REFUSED, ANSWERED, ANSWERED[:-2] + b"Connection: close\r\n\r\n"])
def test_a_client_that_does_not_read_is_not_read_and_then_closed(locked: str, request_bytes: bytes) -> None:
    with connected(locked) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ports = connection.getpeername()[1], connection.getsockname()[1]
        try:
            assert _fill(connection, request_bytes) < 30_000_000  # the buffers of the system hold some
        except ConnectionError:  # closed already
            return
        assert httpx.get(f"{locked}/healthz").status_code == 200
        end = time.monotonic() + PATIENCE
        while _is_established(*ports):  # no byte reaches a client that does not read
            assert time.monotonic() < end
            time.sleep(0.1)


def test_a_slow_reader_gets_the_whole_answer(locked: str) -> None:
    """It reads for longer than a connection may be idle."""
    body = httpx.get(f"{locked}/openapi.json").content
    with connected(locked) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.sendall(ANSWERED * 16)
        time.sleep(SECONDS * 0.8)
        received = bytearray()
        connection.settimeout(PATIENCE)
        while len(received) < 16 * len(body):
            more = connection.recv(65_536)
            assert more, f"cut after {len(received)} bytes"
            received += more
            time.sleep(0.01)
    assert received.count(body) == 16


def test_few_requests_of_a_pipeline_are_in_memory(server: str) -> None:
    """While the first one runs. All are answered."""
    body = b'{"inputs": "save the file", "max_tokens": 4000, "min_tokens": 4000}'
    with connected(server) as connection:
        connection.sendall(head("/v1/translate", length(len(body))) + body)
        connection.sendall(head("/healthz", method="GET") * 3000)
        time.sleep(0.2)
        assert sum(isinstance(one, Cycle) for one in gc.get_objects()) < 200
        assert "results" in read_answer(connection).body
        connection.settimeout(20)
        received, answers = b"", 0
        while answers < 3000:
            received += connection.recv(1_000_000)
            answers, received = answers + received.count(b"HTTP/1.1 200"), received[-11:]


def test_a_body_in_chunks_of_a_byte(server: str) -> None:
    """It is answered, and so is another request meanwhile."""
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY[:-1]) + b"1\r\n \r\n" * 100_000
    answers = []

    def send() -> None:
        with connected(server) as connection:
            connection.sendall(head("/v1/sentiment", "Transfer-Encoding: chunked") + chunks)
            connection.sendall(b"1\r\n}\r\n0\r\n\r\n")
            answers.append(read_answer(connection))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert httpx.get(f"{server}/healthz").status_code == 200
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [200] * 4


def test_complete_requests_are_answered_in_a_flood_of_small_bodies(server: str) -> None:
    """Bodies of a byte, faster than the service gives them up for their age."""
    flood: list[socket.socket] = []
    stop = threading.Event()

    def open_more() -> None:
        while not stop.is_set():
            connection = connected(server)
            connection.sendall(head("/v1/sentiment", length(100)) + b"{")
            flood.append(connection)
            if len(flood) > 400:
                flood.pop(0).close()
            time.sleep(0.001)

    thread = threading.Thread(target=open_more)
    thread.start()
    try:
        statuses = []
        large = {"inputs": ["a good film " * 100] * 60}
        with httpx.Client(base_url=server) as client:
            for number in range(100):
                body = large if number % 10 == 0 else {"inputs": "a good film"}
                statuses.append(client.post("/v1/sentiment", json=body).status_code)
        assert statuses == [200] * 100
    finally:
        stop.set()
        thread.join()
        for connection in flood:
            connection.close()


@pytest.mark.parametrize("seed", range(12))
def test_segments_do_not_change_answers(server: str, seed: int) -> None:
    """Requests of all framings in one pipeline, cut anywhere."""
    chance = random.Random(seed)
    large = b'{"inputs": "a good film"' + b" " * chance.choice([3000, 4096, 70_000, 200_000]) + b"}"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (large[:5], large[5:3000], large[3000:]) if part)
    kinds = [
        (head("/v1/sentiment", length()) + BODY, "results"),
        (head("/v1/sentiment", length(len(large))) + large, "results"),
        (head("/v1/sentiment", "Transfer-Encoding: chunked") + chunks + b"0\r\n\r\n", "results"),
        (head("/v1/sentiment", "Connection: Upgrade", "Upgrade: h2c", length()) + BODY, "results"),
        (head("/healthz", method="GET"), "status"),
        (head("/v1/sentiment", length(2)) + b"{}", "type"),
        (head("/v1/nothing", length(len(large))) + large, "type"),
    ]
    sent = [chance.choice(kinds) for _ in range(12)]
    data = b"".join(request for request, _ in sent)
    cuts = sorted(chance.sample(range(1, len(data)), chance.randint(1, 30)))
    with connected(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def send() -> None:
            for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
                connection.sendall(data[begin:end])
                time.sleep(chance.choice([0, 0, 0.001, 0.02]))

        sending = threading.Thread(target=send)
        sending.start()
        for _, member in sent:
            assert member in read_answer(connection).body
        sending.join()


def test_pieces() -> None:
    """A body with a length is taken up to its end; of anything else, a little."""
    ours, theirs = socket.socketpair()

    async def run() -> list[int]:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        intake = Intake(transport, lambda: None)
        intake.add(b"x" * 100_000)
        sizes = [len(intake.take())]
        for left in (70_000, 4464, 0):
            intake.body_left = left
            sizes.append(len(intake.take()))
        transport.close()
        return sizes

    assert asyncio.run(run()) == [4096, 65_536, 4464, 4096]
    theirs.close()
