"""Observability of a service with two front ends: metrics of both, a log line for each request, and spans."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from app.metrics import Reason
from tests.service.otlp import Received, receiving
from tests.service.serving import Served, metric, started, until
from tests.service.test_workers import serving_pids

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
MARKER = "zyxmarker"


@dataclass(frozen=True)
class Watched:
    """A service, its output, and the receiver of its spans."""

    served: Served
    received: Received

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log lines after the address, each of which is JSON."""
        log = list(self.served.log)
        (first,) = [place for place, line in enumerate(log) if self.served.address in line]
        return [json.loads(line) for line in log[first + 1 :]]

    def requests(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == "request"]


@pytest.fixture(scope="module")
def watched(tiny_store: Path) -> Iterator[Watched]:
    options = ("--store", str(tiny_store), "--port", "0", "--devices", "cpu", "--engines", "1", "--workers", "2")
    command = [sys.executable, "-m", "app", "serve", *options]
    environment = {"UNROLL_LOG_REQUESTS": "true", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with receiving() as received:
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = received.address
        with started(command, r"(?<= on )http://127\.0\.0\.1:\d+", **environment) as served:
            until(lambda: len(serving_pids(served)) == 2)
            yield Watched(served, received)


def ask(watched: Watched, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    """On a new connection, so that any worker may answer."""
    return httpx.post(f"{watched.served.address}{path}", json=body, headers=headers)


def scrape(watched: Watched) -> dict[str, float]:
    lines = httpx.get(f"{watched.served.address}/metrics").text.splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_refusals_are_told_before_there_are_any(watched: Watched) -> None:
    """Counters start at 0, or a rate would miss the first refusal. The service has no other reasons."""
    figures = {name: value for name, value in scrape(watched).items() if name.startswith("unroll_refusals_total")}
    assert figures == {f'unroll_refusals_total{{reason="{reason}"}}': 0 for reason in get_args(Reason)}
    documented = Path("docs/api/operation.md").read_text(encoding="utf8")
    (row,) = [line for line in documented.splitlines() if line.startswith("- Values of `reason`")]
    assert set(re.findall(r"`([a-z-]+)`", row)) - {"reason"} == set(get_args(Reason))


def test_any_scrape_says_what_all_workers_counted(watched: Watched) -> None:
    name = 'unroll_http_requests_total{route="/v1/sentiment",status="200"}'
    before = scrape(watched).get(name, 0.0)
    seen = scrape(watched).get('unroll_engine_source_tokens_total{engine="0",model="sentiment-en",version="1"}', 0.0)
    read = 0
    for _ in range(40):
        answer = ask(watched, "/v1/sentiment", {"inputs": ["a film", "the plot makes no sense"]})
        assert answer.status_code == 200
        read += answer.json()["usage"]["source_tokens"]
    tokens = 'unroll_engine_source_tokens_total{engine="0",model="sentiment-en",version="1"}'
    until(
        lambda: all(scrape(watched).get(tokens) == seen + read for _ in range(16))
    )  # each front end hears of it by itself
    for _ in range(12):
        figures = scrape(watched)
        assert figures[name] == before + 40
        assert figures['unroll_request_seconds_count{task="sentiment"}'] == before + 40
        assert figures['unroll_http_request_seconds_bucket{le="+Inf",route="/v1/sentiment"}'] == before + 40
        assert figures['unroll_inputs_total{task="sentiment"}'] == 2 * (before + 40)
        assert figures['unroll_engine_requests_total{engine="0"}'] >= 80
        assert figures[tokens] == seen + read


def test_pending_requests_of_all_workers_are_summed(watched: Watched) -> None:
    endless = {"inputs": ["save the changes before closing"], "min_tokens": 4000, "max_tokens": 4000, "stream": True}
    with httpx.Client(timeout=60) as client:
        streams = [client.stream("POST", f"{watched.served.address}/v1/translate", json=endless) for _ in range(6)]
        answers = [stream.__enter__() for stream in streams]
        try:
            assert [answer.status_code for answer in answers] == [200] * 6
            until(lambda: all(metric(watched.served.address, "unroll_pending_requests") == 6 for _ in range(6)))
            until(lambda: metric(watched.served.address, "unroll_engine_slots_used") == 6)
        finally:
            for stream in streams:
                stream.__exit__(None, None, None)
    until(lambda: all(metric(watched.served.address, "unroll_pending_requests") == 0 for _ in range(6)))


def test_a_request_has_one_line_and_it_has_its_sizes_and_times(watched: Watched) -> None:
    traceparent = f"00-{TRACE}-{SPAN}-01"
    body = {"inputs": ["save the file", "open it"], "max_tokens": 9}
    answer = ask(watched, "/v1/translate", body, **{"x-request-id": "line-1", "traceparent": traceparent})
    until(lambda: any(line["request_id"] == "line-1" for line in watched.requests()))
    (line,) = [line for line in watched.requests() if line["request_id"] == "line-1"]
    usage = answer.json()["usage"]
    expected = {
        "level": "info",
        "logger": "unroll.requests",
        "method": "POST",
        "route": "/v1/translate",
        "status": 200,
        "bytes_in": len(answer.request.content),
        "bytes_out": len(answer.content),
        "inputs": 2,
        "models": ["translate-en-ko/1"],
        "task": "translation",
        "source_tokens": usage["source_tokens"],
        "emitted_tokens": usage["emitted_tokens"],
        "trace_id": TRACE,
        "parent_span_id": SPAN,
    }
    assert {name: line[name] for name in expected} == expected
    assert line["queue_seconds"] + line["consume_seconds"] + line["emit_seconds"] <= 2 * line["seconds"]
    assert 0 < line["emit_seconds"] < line["seconds"]


def test_no_text_is_written_anywhere(watched: Watched) -> None:
    address = watched.served.address
    image = ("images", (f"{MARKER}.png", b"no image", "image/png"))
    ask(watched, "/v1/sentiment", {"inputs": f"a {MARKER} film", "explain": True})
    ask(watched, "/v1/translate", {"inputs": f"save {MARKER}", "prefix": MARKER, "stop": [MARKER]})
    ask(watched, "/v1/translate", {"inputs": f"save {MARKER}", "stream": True})
    ask(watched, "/v1/translate", {"inputs": f"save {MARKER}", "model": MARKER})
    ask(watched, "/v1/complete", {"inputs": [f"this {MARKER}"], MARKER: 1})
    httpx.post(f"{address}/v1/caption", files=[image])
    httpx.post(f"{address}/v1/caption?prefix={MARKER}", content=b"x", headers={"content-type": "image/png"})
    httpx.post(f"{address}/hf/translation/{MARKER}", json={"inputs": MARKER})
    httpx.get(f"{address}/{MARKER}?{MARKER}")
    last = ask(watched, "/v1/sentiment", {"inputs": MARKER}, **{"x-request-id": "last"})
    assert last.status_code == 200
    until(lambda: any(line["request_id"] == "last" for line in watched.requests()))
    until(lambda: len(watched.received.spans) > 0)
    assert len([line for line in watched.requests() if line["status"] >= 400]) >= 4
    assert MARKER not in "".join(watched.served.log)
    assert MARKER not in str(watched.received.spans)


def test_spans_of_both_processes_are_in_the_trace_of_the_caller(watched: Watched) -> None:
    trace = "5" * 32
    answer = ask(watched, "/v1/translate", {"inputs": "save the file"}, traceparent=f"00-{trace}-{SPAN}-01")
    assert answer.status_code == 200
    names = {"POST /v1/translate", "engine", "queue", "consume", "emit"}
    until(lambda: watched.received.of_trace(trace).keys() == names)
    spans = watched.received.of_trace(trace)
    server, engine = spans["POST /v1/translate"], spans["engine"]
    assert server.parent_span_id.hex() == SPAN
    assert server.kind == server.SPAN_KIND_SERVER
    assert engine.parent_span_id == server.span_id
    assert {spans[name].parent_span_id for name in ("queue", "consume", "emit")} == {engine.span_id}
    attributes = {item.key: item.value for item in engine.attributes}
    assert attributes["unroll.model"].string_value == "translate-en-ko/1"
    assert re.fullmatch("[0-9a-f]{32}", attributes["unroll.engine.instance"].string_value)
    assert [event.name for event in engine.events] == ["first token"]
    times = [engine.start_time_unix_nano]
    for name in ("queue", "consume", "emit"):
        assert spans[name].start_time_unix_nano == times[-1]
        times.append(spans[name].end_time_unix_nano)
    assert times[-1] == engine.end_time_unix_nano
    whole = [server.start_time_unix_nano, *times, server.end_time_unix_nano]
    assert whole == sorted(whole)
    made_by = {(service, part) for service, part, span in watched.received.spans if span.trace_id.hex() == trace}
    assert made_by == {("unroll", "unroll.front_end"), ("unroll", "unroll.engine")}


def test_a_trace_that_the_caller_does_not_sample_is_not_sent(watched: Watched) -> None:
    unwanted, wanted = "6" * 32, "7" * 32
    ask(watched, "/v1/sentiment", {"inputs": "a film"}, traceparent=f"00-{unwanted}-{SPAN}-00")
    ask(watched, "/v1/sentiment", {"inputs": "a film"}, traceparent=f"00-{wanted}-{SPAN}-01")
    until(lambda: watched.received.of_trace(wanted).keys() == {"POST /v1/sentiment", "engine", "queue", "consume"})
    assert not watched.received.of_trace(unwanted)


@pytest.mark.slow
def test_what_a_killed_worker_counted_is_not_lost(watched: Watched) -> None:
    served, name = watched.served, 'unroll_http_requests_total{route="/v1/sentiment",status="200"}'
    for _ in range(10):
        ask(watched, "/v1/sentiment", {"inputs": "a film"})
    before = scrape(watched)
    victim = served.workers()[0]
    victim.kill()
    until(lambda: len(served.workers()) == 2 and victim.pid not in {worker.pid for worker in served.workers()})
    until(lambda: len(serving_pids(served)) == 2)
    ask(watched, "/v1/sentiment", {"inputs": "a film"})
    until(lambda: [scrape(watched)[name] for _ in range(16)] == [before[name] + 1] * 16)
