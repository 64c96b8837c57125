"""Streams of pieces, states and sessions through both clients."""

import asyncio
import os
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from unroll_client import (
    FORECAST,
    SENTIMENT,
    AsyncUnroll,
    ConnectionFailed,
    InvalidRequest,
    Overloaded,
    TimedOut,
    Unroll,
)
from unroll_client.frames import FrameReader, Opcode, frame
from websockets.frames import Frame
from websockets.protocol import State
from websockets.server import ServerProtocol

from tests.api.test_states import ROWS, publish_states
from tests.client.both_clients import KINDS, Kind, result_of
from tests.conftest import serving_store

kinds = pytest.mark.parametrize("kind", KINDS)
MODEL = "sentiment-en-uni"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("pieces")
    (folder / "service").mkdir()
    with serving_store(publish_states(folder), folder / "service", precision="float32", max_streams=2) as address:
        yield address


def sent(kind: Kind, url: str, task: Any, pieces: Sequence[Any], *, timeout: float = 120, **options: Any) -> list[Any]:
    """The result after each piece."""
    if kind == "sync":
        with Unroll(url, timeout=timeout) as client, client.pieces(task, **options) as stream:
            return [stream.send(piece) for piece in pieces]

    async def run() -> list[Any]:
        async with AsyncUnroll(url, timeout=timeout) as client, client.pieces(task, **options) as stream:
            return [await stream.send(piece) for piece in pieces]

    return asyncio.run(run())


@kinds
def test_each_piece_has_the_result_of_all_so_far(kind: Kind, address: str) -> None:
    pieces = ["A warm, fu", "nny film that I'd", " gladly see again 정", "말 재미있게"]
    results = sent(kind, address, SENTIMENT, pieces, model=MODEL)
    for count, result in enumerate(results, 1):
        with Unroll(address) as client:
            whole = client.sentiment("".join(pieces[:count]), model=MODEL)
        assert result.scores == whole.scores
        assert result.usage.inputs == 1


@kinds
def test_rows_in_pieces(kind: Kind, address: str) -> None:
    rows = [row[:2] for row in ROWS]
    options: dict[str, Any] = {"model": "forecast-state", "horizon": 3}
    *_, last = sent(kind, address, FORECAST, [rows[:9], rows[9:]], **options)
    assert last.values == result_of(kind, address, lambda client: client.forecast(rows, **options)).values


@kinds
def test_a_mistake_ends_the_stream(kind: Kind, address: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        sent(kind, address, SENTIMENT, ["A warm", ""], model="sentiment-en")
    assert refusal.value.type == "/problems/no-state"
    with Unroll(address) as client, client.pieces(SENTIMENT, model=MODEL) as stream:
        stream.send("A warm, ")
        with pytest.raises(TypeError, match="one text"):
            stream.send(["a", "b"])
        with pytest.raises(InvalidRequest):
            stream.send("film", truncate=True)
        with pytest.raises(ConnectionFailed, match="has ended"):
            stream.send("film")


def test_a_stream_goes_on_from_a_state(address: str) -> None:
    with Unroll(address) as client:
        with client.pieces(SENTIMENT, model=MODEL) as stream:
            state = stream.send("A warm, fu", return_state=True).state
        with client.pieces(SENTIMENT, state=state) as stream:
            result = stream.send("nny film")
        assert result.scores == client.sentiment("A warm, funny film", model=MODEL).scores
        primed = client.states("A warm, fu", model=MODEL)
        assert client.sentiment("nny film", state=primed.state).scores == result.scores


@kinds
def test_a_refused_handshake_is_its_problem(kind: Kind, address: str) -> None:
    with Unroll(address) as client, client.pieces(SENTIMENT) as one, client.pieces(SENTIMENT) as two:
        for stream in (one, two):
            stream.send("a", model=MODEL)
        with pytest.raises(Overloaded) as refusal:
            sent(kind, address, SENTIMENT, ["a"], model=MODEL)
        assert refusal.value.retry_after is not None
    with pytest.raises(InvalidRequest) as unknown:
        sent(kind, f"{address}/nothing", SENTIMENT, ["a"], model=MODEL)
    assert unknown.value.status == 404


@kinds
def test_no_answer_in_time_is_said(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the system accepts the connection
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TimedOut):
            sent(kind, url, SENTIMENT, ["a"], timeout=0.2)


@kinds
def test_sessions_are_listed_and_forgotten(kind: Kind, address: str) -> None:
    with Unroll(address) as client:
        client.sentiment("A warm", model=MODEL, session="one", session_start=True)
        client.sentiment("A warm", model=MODEL, session="two", session_start=True)
    listed = result_of(kind, address, lambda client: client.sessions())
    assert [(item.name, item.model, item.requests) for item in listed] == [("one", MODEL, 1), ("two", MODEL, 1)]
    assert result_of(kind, address, lambda client: client.forget_sessions("one", "nobody")) == ["one"]
    assert result_of(kind, address, lambda client: client.forget_sessions()) == ["two"]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 70_001])
def test_frames_of_any_size(size: int) -> None:
    """Against the server's side of the package `websockets`."""
    content = os.urandom(size)
    server = ServerProtocol(state=State.OPEN, max_size=None)
    server.receive_data(frame(Opcode.BINARY, content))
    (received,) = server.events_received()
    assert isinstance(received, Frame)
    assert bytes(received.data) == content
    server.send_binary(content)
    data = b"".join(server.data_to_send())
    reader = FrameReader()
    assert [item for part in (data[:3], data[3:7], data[7:]) for item in reader.feed(part)] == [(Opcode.TEXT, content)]
