"""Streams of pieces whose clients hang up, send faster than pieces are answered, or do not read the answers."""

import json
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from app.main import create_app
from app.settings import Settings
from tests.api.test_pieces import Stream
from tests.api.test_states import ROWS, publish_states
from tests.conftest import PATIENCE, engine_in_thread, serving, wait_until_ready
from tests.service.serving import metric, until

_PIECES, _ANSWERS = 131_072, 16_384  # bytes of the kernel's buffers in each direction, so that they hold little
_SENTIMENT, _FORECAST = "/v1/sentiment/stream", "/v1/forecast/stream"
_LONG = {"inputs": [row[:2] for row in ROWS], "model": "forecast-state", "horizon": 10_000}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service whose connections have small buffers."""
    folder = tmp_path_factory.mktemp("flow")
    (folder / "service").mkdir()
    store: Path = publish_states(folder)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PIECES)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ANSWERS)
    with (
        engine_in_thread(store, folder / "service", precision="float32") as endpoint,
        serving(create_app(Settings(store=store, max_streams=1), engines=[endpoint]), listener) as address,
    ):
        wait_until_ready(address)
        yield address


@contextmanager
def _stream(address: str, path: str) -> Iterator[Stream]:
    stream = Stream(address, path, receives=_ANSWERS, sends=_PIECES)
    try:
        yield stream
    finally:
        stream.close()


def _piece(size: int) -> bytes:
    """A piece with little to read: most of it is white space in its JSON."""
    line = json.dumps({"inputs": "a ", "model": "sentiment-en-uni"}).encode().ljust(size - 1) + b"\n"
    return b"%x\r\n%b\r\n" % (size, line)


def _runs(address: str) -> bool:
    return metric(address, "unroll_engine_running") > 0


@pytest.mark.parametrize("as_socket", [False, True])
def test_a_hang_up_within_a_piece_frees_its_row(address: str, as_socket: bool) -> None:
    until(lambda: not _runs(address), seconds=PATIENCE)
    cancelled = metric(address, "unroll_engine_cancelled_total")
    if as_socket:
        with connect(address.replace("http", "ws") + _FORECAST) as client:
            client.send(json.dumps(_LONG))
            until(lambda: _runs(address), seconds=PATIENCE)
            client.socket.shutdown(socket.SHUT_RDWR)
    else:
        with _stream(address, _FORECAST) as stream:
            stream.send(_LONG)
            until(lambda: _runs(address), seconds=PATIENCE)
    until(lambda: metric(address, "unroll_engine_cancelled_total") == cancelled + 1, seconds=PATIENCE)
    counted = f'unroll_http_requests_total{{route="{_FORECAST}",status="%s"}} '
    until(lambda: counted % 499 in httpx.get(f"{address}/metrics").text, seconds=PATIENCE)
    assert counted % 500 not in httpx.get(f"{address}/metrics").text
    until(lambda: not _runs(address), seconds=PATIENCE)
    until(lambda: metric(address, "unroll_pending_requests") == 0, seconds=PATIENCE)


def test_a_client_that_sends_fast_waits_for_its_answers(address: str) -> None:
    """Pieces that are not answered wait with the client, but for a few in buffers of a fixed size."""
    piece, count, most = _piece(40_000), 100, 1_500_000
    rest, received = memoryview(piece * count), bytearray()
    unanswered = answered = 0
    with _stream(address, _SENTIMENT) as stream:
        while answered < count:
            may_read, may_write, _ = select.select([stream], [stream] if rest else [], [], 60)
            if may_read:
                received += stream.receive()
                answered = received.count(b'"usage"')
            elif may_write:
                rest = rest[stream.send_some(rest[:65_536]) :]
                unanswered = max(unanswered, (count - answered) * len(piece) - len(rest))
            else:
                raise AssertionError("nothing comes or goes")
    assert unanswered < most, f"{unanswered} bytes of {count * len(piece)} were taken ahead"


def test_a_client_that_does_not_read_is_read_no_further(address: str) -> None:
    piece, most = _piece(4000), 3000
    with _stream(address, _SENTIMENT) as stream:
        sent = _sent_until_blocked(stream, piece, most)
        assert sent < most, "all pieces were read, though no answer was"
        assert httpx.get(f"{address}/healthz").status_code == 200
        for _ in range(sent):
            assert stream.answer()


def test_a_client_that_hangs_up_without_reading_frees_its_place(address: str) -> None:
    with _stream(address, _SENTIMENT) as stream:
        _sent_until_blocked(stream, _piece(4000), 3000)

    def opens() -> bool:
        """Whether there is a place for another stream: there is one in all."""
        with _stream(address, _SENTIMENT) as other:
            other.send_raw(_piece(100))
            other.head()
            return other.status == 200

    until(opens, seconds=PATIENCE)


def _sent_until_blocked(stream: Stream, piece: bytes, most: int) -> int:
    """The number of pieces that were sent until none could be sent for two seconds; a part of one is not left."""
    for sent in range(most):
        if not select.select([], [stream], [], 2)[1]:
            return sent
        rest = memoryview(piece)
        while rest:
            if not select.select([], [stream], [], 2)[1]:
                stream.finish_later(bytes(rest))
                return sent + 1
            rest = rest[stream.send_some(rest) :]
    return most
