"""Server-sent events over HTTP: joined they equal the whole result, and a disconnect stops the work."""

import base64
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from tests.api.sse import Event, events_of
from tests.api.test_answers import png
from tests.conftest import serving, wait_until_ready
from tests.server.raw import connected, head, length
from tests.service.serving import until

TRANSLATE, CAPTION = "/v1/translate", "/v1/caption"


def streamed(http: httpx.Client, path: str, body: dict[str, Any]) -> list[Event]:
    answer = http.post(path, json=body | {"stream": True})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    return events_of(answer.text)


def texts_of(events: list[Event], place: int) -> list[str]:
    return [event.data["text"] for event in events if event.name == "token" and event.data["input"] == place]


def assert_same(one: Any, other: Any) -> None:
    assert one == pytest.approx(other, abs=1e-4) if isinstance(one, float) else one == other


MANY = 64  # inputs, whose long translations take seconds
INPUTS = [f"save the file {number}" for number in range(6)]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"max_tokens": 100, "min_tokens": 100},
    {"temperature": 1.5, "seed": 4, "max_tokens": 60},
    {"logprobs": 2, "attention": True},
    {"prefix": "파일을"},
    {"stop": ["a", "을"], "max_tokens": 80, "logprobs": 0},
    {"max_tokens": 1},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_events_joined_are_the_plain_answer(http: httpx.Client, options: dict[str, Any]) -> None:
    body = {"inputs": INPUTS, **options}
    plain = http.post(TRANSLATE, json=body).json()
    events = streamed(http, TRANSLATE, body)
    assert [event.name for event in events][-1] == "done"
    results = {event.data["input"]: event.data["result"] for event in events if event.name == "result"}
    assert sorted(results) == list(range(len(INPUTS)))
    for place, expected in enumerate(plain["results"]):
        result = results[place]
        assert result.keys() == expected.keys()
        for key in result.keys() - {"tokens", "attention"}:
            assert_same(result[key], expected[key])
        assert "".join(texts_of(events, place)) == result["text"]
        told = [token for event in events if event.name == "token" and event.data["input"] == place
                for token in event.data.get("tokens", [])]  # fmt: skip
        assert [token["text"] for token in told] == [token["text"] for token in result.get("tokens", [])]
    usage = events[-1].data["usage"]
    assert usage["inputs"] == len(INPUTS)
    assert usage["source_tokens"] == plain["usage"]["source_tokens"]


def test_inputs_are_interleaved(http: httpx.Client) -> None:
    events = streamed(http, TRANSLATE, {"inputs": INPUTS[:2], "max_tokens": 200, "min_tokens": 200})
    places = [event.data["input"] for event in events if event.name == "token"]
    assert places != sorted(places)
    for place in (0, 1):
        mine = [event.name for event in events if event.data.get("input") == place]
        assert mine == ["token"] * (len(mine) - 1) + ["result"]


def test_first_event_comes_long_before_the_last(http: httpx.Client, endless: str) -> None:
    """Most of the work is still to be done."""
    body = {"inputs": [endless] * MANY, "max_tokens": 4000, "min_tokens": 4000, "stream": True}
    with http.stream("POST", TRANSLATE, json=body) as answer:
        lines = answer.iter_lines()  # without a name it would be collected, and the connection closed
        assert next(lines) == "event: token"
        assert "unroll_pending_requests 1.0" in http.get("/metrics").text


@pytest.mark.parametrize("way", ["json", "form", "query"])
def test_captions_are_streamed_by_all_three_ways(http: httpx.Client, way: str) -> None:
    image = png()
    sent: dict[str, dict[str, Any]] = {
        "json": {"json": {"inputs": base64.b64encode(image).decode(), "stream": True}},
        "form": {"files": [("images", ("a.png", image, "image/png"))], "data": {"stream": "true"}},
        "query": {"content": image, "headers": {"Content-Type": "image/png"}, "params": {"stream": "true"}},
    }
    events = events_of(http.post(CAPTION, **sent[way]).text)
    assert [event.name for event in events][-2:] == ["result", "done"]
    assert "".join(texts_of(events, 0)) == events[-2].data["result"]["text"]


def test_what_is_wrong_before_the_start_is_a_plain_problem(http: httpx.Client) -> None:
    for body, status in (({"inputs": ""}, 422), ({"inputs": "a", "model": "nobody"}, 404)):
        answer = http.post(TRANSLATE, json=body | {"stream": True})
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_deadline_ends_a_stream_with_what_there_is(http: httpx.Client, endless: str) -> None:
    for milliseconds in (150, 600, 2400, 9600):  # until one token comes in time
        events = streamed(http, TRANSLATE, {"inputs": endless, "max_tokens": 4000, "timeout_ms": milliseconds})
        if events[-1].name == "done":
            break
    assert [event.name for event in events][-2:] == ["result", "done"]
    assert events[-2].data["result"]["finish_reason"] == "deadline"
    assert "".join(texts_of(events, 0)) == events[-2].data["result"]["text"]


def test_failure_after_the_start_is_the_last_event(http: httpx.Client) -> None:
    """With so short a deadline some of many inputs are never run."""
    for _ in range(30):
        events = streamed(http, TRANSLATE, {"inputs": ["save the file"] * 64, "timeout_ms": 1, "max_tokens": 500})
        if events[-1].name == "error":
            break
    assert events[-1].name == "error"
    assert (events[-1].data["type"], events[-1].data["status"]) == ("/problems/timed-out", 504)
    assert all(event.name in ("token", "result") for event in events[:-1])


def engine_figure(http: httpx.Client, name: str) -> float:
    lines = http.get("/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith(f"unroll_engine_{name}{{")).split()[1])


@pytest.mark.parametrize("stream", [True, False])
def test_hang_up_stops_the_rows(
    http: httpx.Client, server: str, endless: str, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("uvicorn.error").addHandler(caplog.handler)
    until(lambda: engine_figure(http, "running") == 0)
    cancelled = engine_figure(http, "cancelled_total")
    body = {"inputs": [endless] * MANY, "max_tokens": 4000, "min_tokens": 4000, "stream": stream}
    content = json.dumps(body).encode()
    with connected(server) as leaving:
        leaving.sendall(head(TRANSLATE, length(len(content))) + content)
        if stream:
            assert leaving.recv(1)
        else:
            until(lambda: engine_figure(http, "running") == MANY)
    until(lambda: engine_figure(http, "cancelled_total") >= cancelled + MANY)
    until(lambda: engine_figure(http, "running") == 0)
    logging.getLogger("uvicorn.error").removeHandler(caplog.handler)
    assert caplog.records == []  # a disconnect is no error of the service


def test_comments_keep_a_silent_stream_alive(tiny_store: Path, engine_endpoint: str) -> None:
    settings = Settings(store=tiny_store, keep_alive_seconds=0.005)
    with serving(create_app(settings, engines=[engine_endpoint])) as address:
        wait_until_ready(address)
        body = {"inputs": ["save the file"] * 64, "max_tokens": 60, "stream": True, "temperature": 1}
        with httpx.stream("POST", f"{address}{TRANSLATE}", json=body) as answer:
            text = answer.read().decode()
    assert ": keep-alive\n\n" in text
    assert events_of(text)[-1].name == "done"
