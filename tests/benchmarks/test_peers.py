"""Unroll among its peers: the plain endpoint for real, load that arrives at random, and what the report makes of it."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.engine.protocol import Label
from benchmarks.inputs import Workload, workload
from benchmarks.load import LoadGenerator
from benchmarks.peers.__main__ import said
from benchmarks.peers.model import load
from benchmarks.peers.process import ServerFailed, ask, running
from benchmarks.peers.report import Check, Row, best_peer, closed_table, middle, open_table, ratios_table
from benchmarks.peers.servers import SERVERS, UNROLL, Server, text_of

PLAIN = next(server for server in SERVERS if server.module == "plain_fastapi")


class _Answers(BaseHTTPRequestHandler):
    """Answers in the ways that servers have, by path."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(429 if self.path == "/refuses" else 200)
        body = b"" if self.path == "/empty" else b'{"text": "yes"}'
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (5, body[:5], len(body) - 5, body[5:])
        elif self.path == "/closes":
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.path == "/slow":
            time.sleep(0.2)
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where `_Answers` listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def generator() -> Iterator[LoadGenerator]:
    with LoadGenerator() as generator:
        yield generator


def _work(path: str) -> Workload:
    return Workload("sentiment", "any/1", Path(), Label(), path, "application/json", [b'{"inputs": "a"}'], [])


@pytest.mark.parametrize("path", ["/plain", "/chunked", "/closes"])
def test_every_framing_of_an_answer_is_read(generator: LoadGenerator, port: int, path: str) -> None:
    sample = generator.measure(port, _work(path), clients=2, warm_up=0, seconds=0.2)
    assert sample.rate > 0
    assert sample.refused == len(sample.errors) == 0


def test_an_empty_answer_is_an_error_and_429_a_refusal(generator: LoadGenerator, port: int) -> None:
    empty = generator.measure(port, _work("/empty"), clients=1, warm_up=0, seconds=0.1)
    assert empty.rate == 0
    assert empty.errors
    refused = generator.measure_open(port, _work("/refuses"), rate=100, seed=1, warm_up=0, seconds=0.2)
    assert refused.rate == 0
    assert refused.refused == len(refused.refusals) == refused.offered > 0


def test_an_open_loop_does_not_wait_for_slow_answers(generator: LoadGenerator, port: int) -> None:
    sample = generator.measure_open(port, _work("/slow"), rate=100, seed=1, warm_up=0, seconds=0.5)
    again = generator.measure_open(port, _work("/slow"), rate=100, seed=1, warm_up=0, seconds=0.5)
    assert sample.offered == again.offered  # the seed says when requests are due
    assert 25 <= sample.offered <= 80  # about 50; one connection would have got 2 answered
    assert len(sample.latencies) == sample.offered
    assert min(sample.latencies) >= 0.2


@pytest.mark.slow
def test_the_plain_endpoint_answers_as_the_model_does(
    tiny_store: Path, generator: LoadGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEERS_WORKERS", "1")
    work = workload("sentiment", tiny_store)
    assert work is not None
    formed = PLAIN.form(work)
    model = load("sentiment", work.folder)
    with running(PLAIN, formed) as server:
        for body in formed.bodies[:3]:
            assert said(ask(server.port, formed, body)) == model.predict([text_of(body)])[0]["label"]
        sample = generator.measure_open(server.port, formed, rate=50, seed=0, warm_up=0.1, seconds=0.5)
        assert server.megabytes() > 10
    assert sample.offered == len(sample.latencies) > 0
    assert sample.errors == ()
    with pytest.raises(OSError, match="refused"):
        ask(server.port, formed, formed.bodies[0])


def test_a_server_that_does_not_start_is_named_with_its_last_words(tiny_store: Path) -> None:
    work = workload("sentiment", tiny_store)
    assert work is not None
    missing = Server("Missing", "missing", "missing", lambda work: work)
    with (
        pytest.raises(ServerFailed, match=r"No module named benchmarks\.peers\.servers\.missing"),
        running(missing, work),
    ):
        pass


@pytest.mark.parametrize("job", ["translate", "caption"])
def test_a_batch_says_what_its_members_say_alone(tiny_store: Path, job: str) -> None:
    work = workload(job, tiny_store)
    assert work is not None
    model = load(job, work.folder)
    items = work.bodies[:4] if job == "caption" else [text_of(body) for body in work.bodies[:4]]
    assert model.predict(items) == [model.predict([item])[0] for item in items]


@pytest.mark.parametrize(
    "answer",
    [{"text": "a"}, [{"text": "a"}], {"results": [{"text": "a", "score": 0}]}, {"label": "a", "scores": {"a": 1}}],
)
def test_what_an_answer_says_is_found_in_every_wrapping(answer: object) -> None:
    assert said(answer) == "a"
    with pytest.raises(ServerFailed, match="neither label nor text"):
        said({"wrong": answer})


def _row(server: str, turn: int, rate: float, *, clients: int = 0, share: float = 0.0, p50: float = 1.0) -> Row:
    return Row(
        job="caption",
        server=server,
        round=turn,
        clients=clients,
        share=share,
        offered=rate,
        rate=rate,
        p50=p50,
        p99=9.0,
        memory=100.0,
    )


def test_the_report_takes_medians_and_compares_with_the_best_peer() -> None:
    rates = {"slow": (10.0, 20.0, 90.0), "fast": (40.0, 50.0, 30.0), UNROLL: (80.0, 100.0, 70.0)}
    rows = [_row(server, turn, rate, clients=64) for server, three in rates.items() for turn, rate in enumerate(three)]
    rows += [_row(server, 0, 5.0, clients=1, p50=p50) for server, p50 in (("slow", 7.0), ("fast", 8.0), (UNROLL, 2.5))]
    rows += [_row(UNROLL, 0, 40.0, share=0.5, p50=3.25)]
    assert middle(rows, "caption", "slow", "rate", clients=64) == 20
    assert best_peer(rows, "caption", 64) == ("fast", 40)
    assert "| caption | fast | 40.0 | 80.0 | 2.00 | 2.5 | 7.0 | 100 | 100 |" in ratios_table(rows)
    closed = closed_table(rows, [Check(job="caption", server="fast", equal=4, asked=5)])
    assert "| caption | fast | 5.0 | 40.0 | 8.0 | 1.0 | 9.0 | 100 | 80% | 0 | 0 |" in closed
    assert f"| caption | {UNROLL} | 40.0 | 3.2 | 9.0 | 0 | 0 |" in open_table(rows)
    assert ratios_table([row for row in rows if row.server == UNROLL]).count("\n") == 1  # heads only: nobody to compare
