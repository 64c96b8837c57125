"""Sessions that the service keeps: natively, as sequences of Triton's client, and in a Redis that services share."""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import SecretStr
from redis import Redis
from tritonclient.http import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from app.api.access.keys import hash_of
from app.api.sessions.kept import Kept, Place, SessionLimits
from app.api.sessions.shared import SharedSessions
from app.errors import InvalidAccess, SessionLost
from app.main import create_app
from app.settings import Settings
from tests.api.test_rates import redis_at, socket  # noqa: F401
from tests.conftest import PATIENCE, engine_in_thread, serving, wait_until_ready
from tests.tiny_store import drafts, publish_tiny, tiny_tokenizer

MODEL = "sentiment-en-uni"
PIECES = ["A warm, funny fi", "lm that I'd gladly", " see again, and ag", "ain"]
WHOLE = "".join(PIECES)
UNREAD = "a" * 900  # a word without an end is kept as text, so that states have a known size at least
KEYS = {name: f"unroll_the-key-of-{name}" for name in ("ann", "ben")}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sessions")
    tokenizer = tiny_tokenizer(folder)
    for draft in drafts():
        if draft.name in {"sentiment-en", MODEL, "lm-en"}:
            publish_tiny(draft, folder / "store", tokenizer, spread=4)
    return folder / "store"


@pytest.fixture(scope="module")
def engine(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with engine_in_thread(store, tmp_path_factory.mktemp("engine"), precision="float32") as endpoint:
        yield endpoint


@contextmanager
def served(store: Path, engine: str, **settings: Any) -> Iterator[httpx.Client]:
    """A client of a front end beside the engine."""
    with serving(create_app(Settings(store=store, **settings), engines=[engine])) as address:
        wait_until_ready(address)
        with httpx.Client(base_url=address, timeout=PATIENCE) as client:
            yield client


@pytest.fixture(scope="module")
def http(store: Path, engine: str) -> Iterator[httpx.Client]:
    with served(store, engine, max_sessions=3) as client:
        yield client


@pytest.fixture(autouse=True)
def _no_session(http: httpx.Client) -> None:
    http.delete("/v1/sessions")


def ask(http: httpx.Client, text: str, *, path: str = "/v1/sentiment", **members: Any) -> dict[str, Any]:
    answer = http.post(path, json={"inputs": text, **members})
    assert answer.status_code == 200, answer.text
    (result,) = answer.json()["results"]
    return dict(result)


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


def refused(http: httpx.Client, text: str, *, path: str = "/v1/sentiment", **members: Any) -> tuple[int, str]:
    return problem(http.post(path, json={"inputs": text, **members}))


def names(http: httpx.Client) -> list[str]:
    return [item["name"] for item in http.get("/v1/sessions").json()["sessions"]]


def infer(triton: InferenceServerClient, text: str, model: str = MODEL, **sequence: Any) -> list[float]:
    tensor = InferInput("text_input", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode()], dtype=np.object_))
    scores: list[float] = triton.infer(model, [tensor], **sequence).as_numpy("scores").flatten().tolist()
    return scores


@pytest.fixture
def triton(http: httpx.Client) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(f"{http.base_url.host}:{http.base_url.port}", network_timeout=PATIENCE) as client:
        yield client


def test_a_session_goes_on_to_the_answer_of_the_whole(http: httpx.Client) -> None:
    whole = ask(http, WHOLE, model=MODEL)
    ask(http, PIECES[0], model=MODEL, session="talk", session_start=True)
    for piece in PIECES[1:-1]:
        assert "state" not in ask(http, piece, session="talk")
    (listed,) = http.get("/v1/sessions").json()["sessions"]
    assert (listed["name"], listed["model"], listed["version"], listed["requests"]) == ("talk", MODEL, 1, 3)
    assert listed["bytes"] > 0
    assert 0 < listed["expires_in"] <= 600
    assert ask(http, PIECES[-1], session="talk", session_end=True) == whole
    assert names(http) == []


def test_a_lost_session_is_said_and_never_begun_silently(http: httpx.Client) -> None:
    assert refused(http, "a", model=MODEL, session="talk") == (409, "session-lost")
    ask(http, "a warm", model=MODEL, session="talk", session_start=True)
    assert refused(http, "", model=MODEL, session="talk", session_start=True)[0] == 422
    assert refused(http, " film", session="talk") == (409, "session-lost"), "it goes on from the one before"


def test_a_failed_request_leaves_the_session_as_it_was(http: httpx.Client) -> None:
    ask(http, "a warm", model=MODEL, session="talk", session_start=True)
    assert refused(http, "x" * 30_000, session="talk")[0] == 422
    assert refused(http, " film", session="talk", model="lm-en") == (409, "state-mismatch")
    assert ask(http, " film", session="talk") == ask(http, "a warm film", model=MODEL)


def test_a_session_begins_from_a_state_and_shows_its_own(http: httpx.Client) -> None:
    state = ask(http, "a warm", path="/v1/states", model=MODEL)["state"]
    shown = ask(http, " film", state=state, session="talk", session_start=True, return_state=True)["state"]
    ended = ask(http, " again", session="talk")
    assert ended == ask(http, " again", state=shown) == ask(http, "a warm film again", model=MODEL)


@pytest.mark.parametrize(
    "members",
    [
        {"session_start": True},
        {"session_end": True},
        {"session": "talk", "state": "x"},
        {"session": "talk", "session_start": True, "truncate": True},
    ],
)
def test_contradictions_are_refused(http: httpx.Client, members: dict[str, Any]) -> None:
    assert refused(http, "a", model=MODEL, **members) == (422, "contradictory-options")


def test_a_session_has_one_input_and_a_model_that_can(http: httpx.Client) -> None:
    several = http.post("/v1/sentiment", json={"inputs": ["a", "b"], "model": MODEL, "session": "t"})
    assert problem(several) == (422, "invalid-request")
    assert refused(http, "a", model="sentiment-en", session="talk", session_start=True) == (422, "no-state")
    for name in ("with space", ".", "..", ""):  # clients remove a path of dots, see `DELETE`
        assert refused(http, "a", model=MODEL, session=name, session_start=True) == (422, "invalid-request")


def test_the_least_recently_used_leaves_first(http: httpx.Client) -> None:
    for name in "abc":
        ask(http, "a", model=MODEL, session=name, session_start=True)
    ask(http, " film", session="a")
    ask(http, "a", model=MODEL, session="d", session_start=True)
    assert names(http) == ["c", "a", "d"]
    assert refused(http, " film", session="b") == (409, "session-lost")
    assert http.delete("/v1/sessions/c").json() == {"forgotten": ["c"]}
    assert http.delete("/v1/sessions/c").json() == {"forgotten": []}
    assert http.delete("/v1/sessions").json() == {"forgotten": ["a", "d"]}


def test_requests_at_once_are_answered_one_after_the_other(http: httpx.Client) -> None:
    ask(http, "a", model=MODEL, session="talk", session_start=True)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ask(http, " film", session="talk"), range(8)))
    last = ask(http, " film", session="talk")
    assert last == ask(http, "a" + " film" * 9, model=MODEL)


@pytest.mark.parametrize("sequence_id", [42, 2**64 - 1, "a talk"])
def test_sequences_of_tritons_client(http: httpx.Client, triton: InferenceServerClient, sequence_id: int | str) -> None:
    for place, piece in enumerate(PIECES):
        is_last = place == len(PIECES) - 1
        scores = infer(triton, piece, sequence_id=sequence_id, sequence_start=place == 0, sequence_end=is_last)
        assert names(http) == ([] if is_last else [f"{MODEL}/{sequence_id}"])
    assert scores == infer(triton, WHOLE)
    with pytest.raises(InferenceServerException, match=r"has no session .* start it again") as refusal:
        infer(triton, "a", sequence_id=sequence_id)
    assert refusal.value.status() == "409"


def test_sequences_of_two_models_are_apart(http: httpx.Client, triton: InferenceServerClient) -> None:
    infer(triton, "a", sequence_id=7, sequence_start=True)
    text = {"text_input": "a", "parameters": {"sequence_id": 7, "max_tokens": 2}}
    assert problem(http.post("/v2/models/lm-en/generate", json=text)) == (409, "session-lost")
    lonely = {"text_input": "a", "parameters": {"sequence_start": True}}
    assert problem(http.post("/v2/models/lm-en/generate", json=lonely)) == (422, "invalid-request")


def test_a_stream_is_a_request_of_the_session(http: httpx.Client) -> None:
    members = {"model": "lm-en", "max_tokens": 4}
    whole = ask(http, "a warm", path="/v1/complete", **members | {"max_tokens": 8})["text"]
    started = {"inputs": "a warm", "session": "talk", "session_start": True, "stream": True, **members}
    streamed = http.post("/v1/complete", json=started).text
    events = [json.loads(line.removeprefix("data: ")) for line in streamed.splitlines() if line.startswith("data: ")]
    (first,) = [event["result"]["text"] for event in events if "result" in event]
    assert first + ask(http, "", path="/v1/complete", session="talk", max_tokens=4)["text"] == whole
    parts = {"text_input": "a warm", "sequence_id": 5, "sequence_start": True, "max_tokens": 3}
    assert "finish_reason" in http.post("/v2/models/lm-en/generate_stream", json=parts).text
    assert names(http) == ["talk", "lm-en/5"]


def test_a_stream_whose_client_hangs_up_leaves_the_session_to_the_next(http: httpx.Client) -> None:
    ask(http, "a warm", path="/v1/complete", model="lm-en", max_tokens=1, session="talk", session_start=True)
    long = {"inputs": " film", "session": "talk", "stream": True, "min_tokens": 400, "max_tokens": 400}
    with http.stream("POST", "/v1/complete", json=long) as answer:
        next(answer.iter_bytes())
    assert ask(http, " film", path="/v1/complete", session="talk", max_tokens=1)["finish_reason"] == "length"


def test_keys_never_see_each_others_sessions(store: Path, engine: str) -> None:
    entries = [{"name": name, "hash": hash_of(key.encode())} for name, key in KEYS.items()]
    with served(store, engine, api_keys=SecretStr(json.dumps({"keys": entries}))) as http:
        ann, ben = ({"X-API-Key": key} for key in KEYS.values())
        body = {"inputs": "a", "model": MODEL, "session": "talk"}
        assert http.post("/v1/sentiment", json=body | {"session_start": True}, headers=ann).status_code == 200
        assert problem(http.post("/v1/sentiment", json=body, headers=ben)) == (409, "session-lost")
        assert http.get("/v1/sessions", headers=ben).json() == {"sessions": []}
        assert http.delete("/v1/sessions", headers=ben).json() == {"forgotten": []}
        assert http.delete("/v1/sessions/talk", headers=ben).json() == {"forgotten": []}
        assert problem(http.get("/v1/sessions")) == (401, "wrong-key")
        assert http.post("/v1/sentiment", json=body, headers=ann).status_code == 200


def test_a_session_that_is_not_used_expires(store: Path, engine: str) -> None:
    with served(store, engine, session_seconds=0.001) as http:
        ask(http, "a", model=MODEL, session="talk", session_start=True)
        time.sleep(0.01)
        assert names(http) == []
        assert refused(http, "a", session="talk") == (409, "session-lost")


def test_the_bytes_of_a_key_are_bounded(store: Path, engine: str) -> None:
    with served(store, engine) as http:
        ask(http, UNREAD, model=MODEL, session="one", session_start=True)
        size = http.get("/v1/sessions").json()["sessions"][0]["bytes"]
    with served(store, engine, max_session_bytes=2 * size + size // 2) as http:
        for name in ("one", "two", "three"):
            ask(http, UNREAD, model=MODEL, session=name, session_start=True)
        assert names(http) == ["two", "three"]
        ask(http, UNREAD, model=MODEL, session="two", session_start=True)
        assert names(http) == ["three", "two"]
    with served(store, engine, max_session_bytes=1024) as http:
        refusal = http.post(
            "/v1/sentiment", json={"inputs": UNREAD, "model": MODEL, "session": "one", "session_start": True}
        )
        assert problem(refusal) == (422, "invalid-state")
        assert "max_session_bytes" in refusal.json()["detail"]


def test_several_workers_without_a_shared_store_refuse(store: Path, engine: str) -> None:
    with served(store, engine, workers=2, state_secret=SecretStr("one")) as http:
        assert refused(http, "a", model=MODEL, session="talk", session_start=True) == (403, "sessions-off")
        assert problem(http.get("/v1/sessions")) == (403, "sessions-off")
    with pytest.raises(InvalidAccess, match="needs state_secret"):
        create_app(Settings(store=store, session_storage=SecretStr("redis://host:6379/0")))


def test_services_share_sessions_in_redis(store: Path, engine: str, socket: Path) -> None:  # noqa: F811
    with redis_at(socket) as url:
        shared = {"session_storage": SecretStr(url), "state_secret": SecretStr("one"), "workers": 2, "max_sessions": 3}
        with served(store, engine, **shared) as here, served(store, engine, **shared) as there:
            whole = ask(here, WHOLE, model=MODEL)
            ask(here, PIECES[0], model=MODEL, session="talk", session_start=True)
            ask(there, PIECES[1], session="talk")
            ask(here, PIECES[2], session="talk")
            assert there.get("/v1/sessions").json()["sessions"][0]["requests"] == 3
            assert ask(there, PIECES[3], session="talk", session_end=True) == whole
            assert names(here) == []
            for name in "abcd":
                ask(here, "a", model=MODEL, session=name, session_start=True)
            assert names(there) == ["b", "c", "d"]
            assert refused(there, "a", session="a") == (409, "session-lost")
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda place: ask((here, there)[place % 2], " film", session="d"), range(8)))
            assert ask(here, " film", session="d") == ask(here, "a" + " film" * 9, model=MODEL)
            assert there.delete("/v1/sessions").json() == {"forgotten": ["b", "c", "d"]}
            ask(here, "a", model=MODEL, session="talk", session_start=True)
        with served(store, engine, **shared) as restarted:
            assert ask(restarted, " film", session="talk") == ask(restarted, "a film", model=MODEL)


def test_redis_keeps_sessions_within_their_limits(store: Path, engine: str, socket: Path) -> None:  # noqa: F811
    with redis_at(socket) as url, Redis(unix_socket_path=str(socket)) as redis:
        shared: dict[str, Any] = {"session_storage": SecretStr(url), "state_secret": SecretStr("one")}
        with served(store, engine, **shared) as http:
            ask(http, UNREAD, model=MODEL, session="one", session_start=True)
            size = http.get("/v1/sessions").json()["sessions"][0]["bytes"]
            http.delete("/v1/sessions")
        assert [key for key in redis.scan_iter() if not key.endswith(b":bytes")] == []
        with served(store, engine, max_session_bytes=2 * size + size // 2, **shared) as http:
            for name in ("one", "two", "three"):
                ask(http, UNREAD, model=MODEL, session=name, session_start=True)
            assert names(http) == ["two", "three"]
        with served(store, engine, session_seconds=0.001, **shared) as http:
            ask(http, "a", model=MODEL, session="talk", session_start=True)
            time.sleep(0.01)
            assert names(http) == []
            assert refused(http, "a", session="talk") == (409, "session-lost")
        assert redis.keys() == []


def test_a_lock_in_redis_is_waited_for_and_may_be_lost(store: Path, engine: str, socket: Path) -> None:  # noqa: F811
    lock = "unroll:{sessions }:lock:talk"
    with redis_at(socket) as url, Redis(unix_socket_path=str(socket)) as redis:
        with served(store, engine, session_storage=SecretStr(url), state_secret=SecretStr("one")) as http:
            ask(http, "a", model=MODEL, session="talk", session_start=True)
            assert redis.get(lock) is None
            redis.set(lock, "another process", px=600_000)
            assert refused(http, " film", session="talk", timeout_ms=100) == (504, "timed-out")
            assert redis.get(lock) == b"another process"
            redis.delete(lock)
            assert ask(http, " film", session="talk") == ask(http, "a film", model=MODEL)

        async def lose() -> None:
            sessions, place = SharedSessions(url, SessionLimits(600, 10, 10_000)), Place("", "talk")
            async with sessions.turn(place, time.monotonic() + PATIENCE):
                redis.set(lock, "another process")
                with pytest.raises(SessionLost, match="another one has session talk"):
                    await sessions.keep(place, Kept("state", MODEL, 1, 9, time.time()))
            (kept,) = await sessions.of("")
            assert kept[1].requests == 2
            await sessions.close()

        asyncio.run(lose())


def test_a_redis_that_is_gone_is_said(store: Path, engine: str, tmp_path: Path) -> None:
    nobody = SecretStr(f"redis+unix://{tmp_path}/nobody")
    with served(store, engine, session_storage=nobody, state_secret=SecretStr("one")) as http:
        gone = http.post("/v1/sentiment", json={"inputs": "a", "model": MODEL, "session": "t", "session_start": True})
        assert problem(gone) == (503, "sessions-unreachable")
        assert gone.headers["Retry-After"] == "5"
        assert problem(http.get("/v1/sessions")) == (503, "sessions-unreachable")
        assert ask(http, "a", model=MODEL)["model"] == MODEL
