"""A whole service when connections run out, and when nobody reads its log."""

import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.conftest import PATIENCE, wait_until_ready

FILES = 256
TEXT = {"inputs": "a good film"}


@contextmanager
def unread(
    store: Path, *options: str, prepare: Callable[[], None] | None = None
) -> Iterator[tuple[str, Callable[[], int], Callable[[], str]]]:
    """A service on a free port whose log nobody reads. The first function counts its open files; the second ends it by
    SIGTERM and returns the log."""
    port = _free_port()
    command = [sys.executable, "-m", "app", "serve", "--store", str(store), "--port", str(port), "--devices", "cpu"]
    process = subprocess.Popen(
        [*command, "--engines", "1", "--log-requests", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=prepare,
    )
    address = f"http://127.0.0.1:{port}"

    def end() -> str:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        return log

    try:
        wait_until_ready(address)
        yield address, psutil.Process(process.pid).num_fds, end
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.slow
def test_a_log_that_nobody_reads_stops_nothing(tiny_store: Path) -> None:
    with unread(tiny_store) as (address, _, end):
        with httpx.Client(base_url=address) as client:
            for _ in range(400):  # lines of 150 KB; a pipe holds 64 KB
                assert client.post("/v1/sentiment", json=TEXT).status_code == 200
        log = end()
        assert '"event":"request"' in log


def test_idle_connections_make_room_for_new_ones(tiny_store: Path) -> None:
    """More connections than open files: the soft limit is raised to the hard one, and the oldest idle one closes."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, FILES))

    with unread(tiny_store, "--head-seconds", "600", prepare=limited) as (address, files, end), ExitStack() as idle:
        place = urlsplit(address)
        for number in range(2 * FILES):
            connection = idle.enter_context(socket.create_connection((place.hostname, place.port), timeout=PATIENCE))
            connection.sendall(b"" if number % 2 else b"POST /v1/sentiment HTTP/1.1\r\n")
            if number % 64 == 0:
                assert httpx.get(f"{address}/healthz").status_code == 200
        assert httpx.post(f"{address}/v1/sentiment", json=TEXT).status_code == 200
        assert files() < FILES - 64  # half of the reserve is left: each new connection closed another one
        log = end()
    assert "connections are open, the limit of open files" in log
    assert log.count("idle ones are closed") < FILES / 8  # at most one warning in 10 s


def test_the_oldest_idle_connection_makes_room(tiny_store: Path) -> None:
    """Connections that were answered and wait are older than new ones that have sent nothing yet."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))

    with unread(tiny_store, "--head-seconds", "600", prepare=limited) as (address, _, _), ExitStack() as opened:
        place = urlsplit(address)

        def connect() -> socket.socket:
            return opened.enter_context(socket.create_connection((place.hostname, place.port), timeout=PATIENCE))

        for _ in range(FILES // 2 + 16):  # more than there is room for
            kept = connect()
            kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert kept.recv(4096).startswith(b"HTTP/1.1 200")
        new = []
        for _ in range(10):
            new.append(connect())
            time.sleep(0.05)
        for connection in new:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", ["/healthz", "/v1/sentiment"])
def test_bodies_that_never_come_leave_room(tiny_store: Path, path: str) -> None:
    """More heads that announce a byte than connections, answered ones and ones that wait for their body."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))

    with unread(tiny_store, prepare=limited) as (address, _, _), ExitStack() as opened:
        place = urlsplit(address)
        for _ in range(FILES):
            connection = opened.enter_context(socket.create_connection((place.hostname, place.port), timeout=PATIENCE))
            lines = f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", "Content-Length: 1"
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
        assert httpx.get(f"{address}/healthz").status_code == 200
        assert httpx.post(f"{address}/v1/sentiment", json=TEXT).status_code == 200


@pytest.mark.slow
def test_clients_that_do_not_read_do_not_keep_the_service_from_ending(tiny_store: Path) -> None:
    with unread(tiny_store, "--drain-seconds", "1000") as (address, _, end), ExitStack() as opened:
        place = urlsplit(address)
        for _ in range(5):
            connection = opened.enter_context(socket.create_connection((place.hostname, place.port), timeout=PATIENCE))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 60)
        time.sleep(1)
        log = end()
    assert "Traceback" not in log
