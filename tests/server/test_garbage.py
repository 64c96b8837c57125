"""A connection and its requests are freed when they end, not by the garbage collector, which runs much later."""

import gc
import json
import time
from collections import Counter

import pytest

from tests.conftest import PATIENCE
from tests.server.raw import BODY, connected, head, length

STREAM = json.dumps({"inputs": "save the file", "stream": True, "max_tokens": 200, "min_tokens": 200}).encode()
LONG = json.dumps({"inputs": "save the file", "max_tokens": 200, "min_tokens": 200}).encode()
REQUESTS = 20


@pytest.mark.parametrize(
    ("request_bytes", "reads"),
    [
        pytest.param(head("/v1/sentiment", length()) + BODY, 65_536, id="answered"),
        pytest.param(head("/v1/sentiment", length(3)) + b"{x}", 65_536, id="unreadable"),
        pytest.param(b"GARBAGE\r\n\r\n", 65_536, id="no HTTP"),
        pytest.param(head("/healthz", method="GET"), 65_536, id="no task"),
        pytest.param(head("/v1/sentiment", length())[:40], 0, id="hung up in the head"),
        pytest.param(head("/v1/sentiment", length()) + BODY[:4], 0, id="hung up in the body"),
        pytest.param(head("/v1/translate", length(len(LONG))) + LONG, 0, id="hung up before the answer"),
        pytest.param(head("/v1/translate", length(len(STREAM))) + STREAM, 60, id="hung up in the stream"),
    ],
)
def test_connections_and_requests_are_no_garbage(server: str, request_bytes: bytes, reads: int) -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(REQUESTS):
            with connected(server) as connection:
                connection.sendall(request_bytes)
                if reads:
                    assert connection.recv(reads)
        end = time.monotonic() + PATIENCE
        while sum(left().values()) >= REQUESTS / 4:  # other tests may leave some
            assert time.monotonic() < end, left()
            time.sleep(0.1)  # the last ones may be ending
    finally:
        gc.enable()


def left() -> Counter[str]:
    """How many connections and requests there are, by their types."""
    ours = Counter(type(one).__name__ for one in gc.get_objects() if type(one).__module__.startswith("app."))
    return Counter({name: ours[name] for name in ("HttpProtocol", "Cycle", "Jobs")})
