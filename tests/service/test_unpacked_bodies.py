"""Compressed bodies that become large: a real service bounds the memory of all of them together."""

import gzip
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.service.serving import Served, metric, serving

LARGEST = 4_000_000  # bytes of a body
MOST = 8  # largest bodies that may be unpacked in memory
HEADERS = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
SLOW = b'{"inputs": "save the file", "beams": 4, "min_tokens": 3000, "max_tokens": 3000, "timeout_ms": 4000}'


@pytest.fixture(scope="module")
def served(tiny_store: Path) -> Iterator[Served]:
    with serving(tiny_store, "--engines", "1", "--max-body-bytes", str(LARGEST)) as served:
        yield served


def large(content: bytes) -> bytes:
    """A body that is as large as it may be, in 4 KB."""
    return gzip.compress(content.ljust(LARGEST))


def memory(served: Served) -> int:
    return psutil.Process(served.process.pid).memory_info().rss


def begun(served: Served, body: bytes) -> socket.socket:
    """A connection that has sent all of a request but the last byte."""
    address = urlsplit(served.address)
    connection = socket.create_connection((str(address.hostname), address.port or 0), timeout=100)
    head = (
        f"POST /v1/sentiment HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n"
    )
    connection.sendall(head.encode() + body[:-1])
    return connection


@pytest.mark.slow
def test_bodies_that_have_not_arrived_are_held_as_they_came(served: Served) -> None:
    before = memory(served)
    body = large(b'{"inputs": "a film"}')
    connections = [begun(served, body) for _ in range(40)]
    answer = httpx.post(f"{served.address}/v1/sentiment", content=body, headers=HEADERS)
    assert answer.status_code == 200  # they take no room from others
    grown = memory(served) - before
    for connection in connections:
        connection.close()
    assert grown < 5 * LARGEST


@pytest.mark.slow
def test_bodies_of_unanswered_requests_are_bounded(served: Served) -> None:
    before = memory(served)
    body = large(SLOW)
    with ThreadPoolExecutor(40) as pool:
        asked = [
            pool.submit(httpx.post, f"{served.address}/v1/translate", content=body, headers=HEADERS, timeout=30)
            for _ in range(40)
        ]
        answers = [future.result() for future in asked]
    grown = memory(served) - before
    statuses = [answer.status_code for answer in answers]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert set(statuses) <= {200, 429, 504}
    assert len(answers) - len(refused) >= MOST, statuses
    assert refused
    for answer in refused:
        assert answer.json()["detail"].startswith(f"Too many bytes of unpacked bodies (limit {MOST * LARGEST})")
        assert answer.headers["retry-after"] == "1"
    assert metric(served.address, "unroll_refusals_total") >= len(refused)
    assert grown < 2 * MOST * LARGEST


def test_ended_requests_hold_nothing(served: Served) -> None:
    """Answered, refused, damaged and abandoned ones, each more often than the limit allows at once."""
    good = large(b'{"inputs": "a film"}')
    with httpx.Client(base_url=served.address, headers=HEADERS) as client:
        for _ in range(2 * MOST):
            assert client.post("/v1/sentiment", content=good).status_code == 200
            assert client.post("/v1/sentiment", content=large(b'{"inputs": 1}')).status_code == 422
            assert client.post("/v1/sentiment", content=good[:-1]).status_code == 400
            begun(served, good).close()
            connection = begun(served, large(SLOW))
            connection.sendall(large(SLOW)[-1:])
            connection.close()
        assert client.post("/v1/sentiment", content=good).status_code == 200
