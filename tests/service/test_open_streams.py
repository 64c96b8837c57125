"""Hundreds of open streams of pieces: one without a piece has no step in the engine."""

import json
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.api.test_pieces import Messages, Stream
from tests.api.test_states import publish_states
from tests.conftest import PATIENCE
from tests.service.serving import metric, serving, until

_PATH, _EACH = "/v1/sentiment/stream", 300
_STEPS, _SOURCES = "unroll_engine_consume_useful_total", "unroll_engine_consumed_total"


def _tokens(answer: dict[str, Any] | None) -> int:
    assert answer is not None
    assert "results" in answer, json.dumps(answer)
    return int(answer["usage"]["source_tokens"])


@pytest.mark.slow
def test_open_streams_without_a_piece_take_no_step(tmp_path: Path) -> None:
    with serving(publish_states(tmp_path)) as served, ExitStack() as opened:
        address, sockets = served.address, served.address.replace("http", "ws") + _PATH
        streams: list[Stream | Messages] = []
        for _ in range(_EACH):
            streams.append(opened.enter_context(closing(Stream(address, _PATH))))
            streams.append(Messages(opened.enter_context(connect(sockets, ping_interval=None))))
        for stream in streams:
            stream.send({"inputs": "A warm, funny ", "model": "sentiment-en-uni"})
        tokens = sum(_tokens(stream.answer()) for stream in streams)
        _check_steps(address, len(streams), tokens)
        time.sleep(5)
        for number, stream in enumerate([streams[0], streams[-1]], 1):
            stream.send({"inputs": "film that I would gladly see again."})
            tokens += _tokens(stream.answer())
            _check_steps(address, len(streams) + number, tokens)
        assert metric(address, "unroll_pending_requests") == 0


def _check_steps(address: str, pieces: int, tokens: int) -> None:
    """The engine took the steps of these pieces, and no other."""
    until(lambda: metric(address, _SOURCES) >= pieces, seconds=PATIENCE)
    assert metric(address, _SOURCES) == pieces
    assert metric(address, _STEPS) == tokens
