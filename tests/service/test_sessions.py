"""Sessions and states with several front ends: two processes of one service that share a Redis, or refuse."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.sync.client import connect

from tests.api.test_rates import redis_at, socket  # noqa: F401
from tests.conftest import PATIENCE
from tests.service.serving import Served
from tests.service.test_workers import two_workers
from tests.tiny_store import drafts, publish_tiny, tiny_tokenizer

MODEL = "sentiment-en-uni"
PIECES = ["A warm, funny fi", "lm that I'd gladly", " see again, and ag", "ain"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sessions")
    tokenizer = tiny_tokenizer(folder)
    for draft in drafts():
        if draft.name == MODEL:
            publish_tiny(draft, folder / "store", tokenizer, spread=4)
    return folder / "store"


@contextmanager
def clients_of_both(served: Served) -> Iterator[list[httpx.Client]]:
    """A client with a connection to each of the two front ends."""
    with ExitStack() as stack:
        found: dict[int, httpx.Client] = {}
        for _ in range(200):
            before = {worker.pid: connections(worker) for worker in served.workers()}
            client = stack.enter_context(httpx.Client(base_url=served.address, timeout=PATIENCE))
            assert client.get("/readyz").status_code == 200
            (pid,) = (worker.pid for worker in served.workers() if connections(worker) > before[worker.pid])
            found.setdefault(pid, client)
            if len(found) == 2:
                yield [*found.values()]
                return
        raise AssertionError("200 connections reached one front end")


def connections(worker: psutil.Process) -> int:
    return sum(one.status == psutil.CONN_ESTABLISHED for one in worker.net_connections("tcp"))


def ask(client: httpx.Client, text: str, **members: Any) -> dict[str, Any]:
    answer = client.post("/v1/sentiment", json={"inputs": text, **members})
    assert answer.status_code == 200, answer.text
    (result,) = answer.json()["results"]
    return dict(result)


def test_two_front_ends_share_sessions_and_states(store: Path, socket: Path) -> None:  # noqa: F811
    with redis_at(socket) as url:
        shared = ("--session-storage", url, "--state-secret", "a secret", "--precision", "float32")
        with two_workers(store, *shared) as served, clients_of_both(served) as (one, other):
            whole = ask(one, "".join(PIECES), model=MODEL)
            ask(one, PIECES[0], model=MODEL, session="talk", session_start=True)
            for client, piece in zip((other, one, other), PIECES[1:], strict=True):
                last = ask(client, piece, session="talk")
            assert last == whole
            for client in (one, other):
                assert [item["requests"] for item in client.get("/v1/sessions").json()["sessions"]] == [4]
            ask(one, "a", model=MODEL, session="talk-2", session_start=True)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda place: ask((one, other)[place % 2], " film", session="talk-2"), range(8)))
            assert ask(one, " film", session="talk-2") == ask(other, "a" + " film" * 9, model=MODEL)
            state = ask(one, "".join(PIECES[:2]), model=MODEL, return_state=True)["state"]
            assert ask(other, "".join(PIECES[2:]), state=state) == whole
            with connect(served.address.replace("http", "ws") + "/v1/sentiment/stream") as stream:
                for piece in PIECES:
                    stream.send(json.dumps({"inputs": piece, "model": MODEL}))
                    answer = json.loads(stream.recv(timeout=PATIENCE))
            assert answer["results"] == [whole]


def test_two_front_ends_without_a_redis_refuse_sessions(store: Path) -> None:
    with two_workers(store) as served:
        body = {"inputs": "a", "model": MODEL}
        session = httpx.post(f"{served.address}/v1/sentiment", json=body | {"session": "s", "session_start": True})
        assert (session.status_code, session.json()["type"]) == (403, "/problems/sessions-off")
        state = httpx.post(f"{served.address}/v1/sentiment", json=body | {"return_state": True})
        assert state.status_code == 422, state.text
        assert "state_secret" in state.json()["detail"]
