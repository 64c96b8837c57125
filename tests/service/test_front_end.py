"""The front end's uvicorn: many connections at once."""

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.main import create_app
from app.server.front_end import FrontEnd
from app.settings import Settings

CONNECTIONS = 256


@pytest.fixture
def _signals() -> Iterator[None]:
    handled = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handled.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals")
def test_connections_that_came_together_do_not_wait_for_a_turn_each(tiny_store: Path, engine_endpoint: str) -> None:
    """The event loop is blocked until all connections are there; then turns are counted until all are served."""
    turns, served = 0, list[int]()
    app = create_app(Settings(store=tiny_store, log_level="warning"), engines=[engine_endpoint])

    @app.get("/blocking")
    async def blocking() -> None:
        def turn() -> None:
            nonlocal turns
            turns += 1
            loop.call_later(0.001, turn)

        loop = asyncio.get_running_loop()
        if not served:
            loop.call_soon(turn)
            time.sleep(1)  # noqa: ASYNC251 - that is the point
        served.append(turns)

    def visit() -> None:
        address = listener.getsockname()
        request = b"GET /blocking HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with socket.create_connection(address) as first:
            first.sendall(request)
            time.sleep(0.3)  # the event loop is blocked now
            others = [socket.create_connection(address) for _ in range(CONNECTIONS)]
            for connection in others:
                connection.sendall(request)
            for connection in (first, *others):
                assert connection.recv(1000).startswith(b"HTTP/1.1 200")
                connection.close()
        server.should_exit = True

    listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
    server = FrontEnd(app)
    visitor = threading.Thread(target=visit)
    visitor.start()
    server.run([listener])
    visitor.join()
    assert len(served) == CONNECTIONS + 1
    assert served[-1] < CONNECTIONS / 2
