"""A WebSocket on another ASGI server: a plain uvicorn."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import CloseCode
from websockets.sync.client import connect

from app.main import create_app
from app.settings import Settings
from tests.conftest import PATIENCE, running, wait_until_ready

MODEL = {"model": "sentiment-en-uni"}


@pytest.fixture(scope="module")
def address(tiny_store: Path, engine_endpoint: str) -> Iterator[str]:
    with running(create_app(Settings(store=tiny_store), engines=[engine_endpoint])) as address:
        wait_until_ready(address)
        yield address


def test_messages_are_pieces(address: str) -> None:
    whole = httpx.post(f"{address}/v1/sentiment", json={"inputs": "A warm, funny film"} | MODEL, timeout=PATIENCE)
    with connect(address.replace("http", "ws") + "/v1/sentiment/stream") as stream:
        for piece in ("A warm, fun", "ny film"):
            stream.send(json.dumps({"inputs": piece} | MODEL, indent=1))
            last = json.loads(stream.recv(timeout=PATIENCE))
    assert last["results"] == whole.json()["results"]


def test_a_problem_is_the_last_message(address: str) -> None:
    with connect(address.replace("http", "ws") + "/v1/sentiment/stream") as stream:
        stream.send(json.dumps({"inputs": "a", "model": "none"}))
        assert json.loads(stream.recv(timeout=PATIENCE))["error"]["type"] == "/problems/model-not-found"
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv(timeout=PATIENCE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == CloseCode.POLICY_VIOLATION


def test_elsewhere_there_is_no_web_socket(address: str) -> None:
    with pytest.raises(InvalidStatus):
        connect(address.replace("http", "ws") + "/v1/sentiment")
