"""The service as processes: the effects of signals, crashes and disconnects on running requests."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.conftest import PATIENCE
from tests.service.serving import metric, serving, started, until

LONG = {"inputs": "save the changes before closing", "min_tokens": 1500, "max_tokens": 1500}
# Engines run at nice 10: other work on the machine slows them tenfold.
PATIENT = ("--request-seconds", "100", "--drain-seconds", "100")


def translate(address: str) -> httpx.Response:
    return httpx.post(f"{address}/v1/translate", json=LONG, timeout=PATIENCE)


@pytest.mark.parametrize("engines", ["2", pytest.param("1", marks=pytest.mark.slow)])
def test_requests_survive_the_death_of_an_engine(tiny_store: Path, engines: str) -> None:
    with serving(tiny_store, "--engines", engines, *PATIENT) as served, ThreadPoolExecutor(8) as pool:
        expected = translate(served.address).json()["results"][0]["text"]
        asked: list[Future[httpx.Response]] = [pool.submit(translate, served.address) for _ in range(5)]
        until(lambda: metric(served.address, "unroll_engine_running") >= 4)
        victims = served.engines()
        for victim in victims:
            victim.send_signal(signal.SIGKILL)
        answers = [future.result() for future in asked]
        assert [answer.status_code for answer in answers] == [200] * 5
        assert {answer.json()["results"][0]["text"] for answer in answers} == {expected}
        until(lambda: len(served.engines()) == int(engines))
        assert not {engine.pid for engine in served.engines()} & {victim.pid for victim in victims}
        until(lambda: metric(served.address, "unroll_engines_ready") == int(engines))
        assert metric(served.address, "unroll_engine_restarts_total") == int(engines)


def test_sigterm_lets_requests_end_and_ends_with_status_0(tiny_store: Path) -> None:
    with serving(tiny_store, "--engines", "1", *PATIENT) as served, ThreadPoolExecutor(4) as pool:
        engines = served.engines()
        asked = [pool.submit(translate, served.address) for _ in range(4)]
        until(lambda: metric(served.address, "unroll_engine_running") >= 1)
        served.process.send_signal(signal.SIGTERM)
        assert [future.result().status_code for future in asked] == [200] * 4
        assert served.process.wait(PATIENCE) == 0
        assert not any(engine.is_running() for engine in engines)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_under_load_fails_no_request(tiny_store: Path, workers: str) -> None:
    """Each request has a connection of its own: it is answered, or the connection is refused."""
    outcomes = Counter[str]()

    def client(address: str) -> None:
        while not outcomes["refused"]:
            try:
                answer = httpx.post(f"{address}/v1/sentiment", json={"inputs": "a good film"}, timeout=PATIENCE)
                outcomes[str(answer.status_code)] += 1
            except httpx.ConnectError:
                outcomes["refused"] += 1
            except httpx.HTTPError as error:
                outcomes[repr(error)] += 1

    with serving(tiny_store, "--engines", "1", "--workers", workers) as served, ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(client, served.address) for _ in range(16)]
        until(lambda: outcomes["200"] >= 50)
        served.process.send_signal(signal.SIGTERM)
        for future in asked:
            future.result()
        assert outcomes.keys() == {"200", "refused"}
        assert served.process.wait(PATIENCE) == 0


def test_sigterm_lets_a_request_come_whose_connection_is_open(tiny_store: Path) -> None:
    """Its head comes after the signal, or has begun to come before it. An idle connection is closed."""
    body = b'{"inputs": "a good film"}'
    fields = ("Host: localhost", "Content-Type: application/json", f"Content-Length: {len(body)}")
    head = "\r\n".join(("POST /v1/sentiment HTTP/1.1", *fields, "", ""))
    with serving(tiny_store, "--engines", "1", *PATIENT) as served, ExitStack() as stack:
        place = ("127.0.0.1", urlsplit(served.address).port)
        new, begun, idle = (stack.enter_context(socket.create_connection(place, PATIENCE)) for _ in range(3))
        begun.sendall(head[:40].encode())
        idle.sendall(head.encode() + body)
        assert idle.recv(10_000).startswith(b"HTTP/1.1 200")
        served.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        new.sendall(head.encode() + body)
        assert new.recv(10_000).startswith(b"HTTP/1.1 200")
        assert idle.recv(10_000) == b""
        time.sleep(2)
        begun.sendall(head[40:].encode() + body)
        answer = begun.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer
        assert served.process.wait(PATIENCE) == 0


@pytest.mark.slow
def test_draining_is_bounded(tiny_store: Path) -> None:
    """A request that takes far longer does not delay the end of the service."""
    endless = {"inputs": ["save the changes before closing"] * 60, "min_tokens": 4000, "max_tokens": 4000}
    options = ("--engines", "1", "--drain-seconds", "1", "--slots", "1")
    with serving(tiny_store, *options) as served, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(httpx.post, f"{served.address}/v1/translate", json=endless, timeout=60)
        until(lambda: metric(served.address, "unroll_engine_running") >= 1)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(PATIENCE) == 0
        answer = asked.result()
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/draining")


def test_engines_end_with_the_front_end(tiny_store: Path) -> None:
    with serving(tiny_store, "--engines", "2") as served:
        engines = served.engines()
        assert len(engines) == 2
        served.process.kill()
        served.process.wait()
        psutil.wait_procs(engines, timeout=PATIENCE)
        assert not any(engine.is_running() for engine in engines)


def test_a_client_that_hangs_up_is_cancelled(tiny_store: Path) -> None:
    with serving(tiny_store, "--engines", "1") as served:
        place = urlsplit(served.address)
        assert place.port is not None
        body = json.dumps(
            {"inputs": ["save the changes before closing"] * 30, "min_tokens": 4000, "max_tokens": 4000}
        ).encode()
        fields = (
            "POST /v1/translate HTTP/1.1",
            "Host: localhost",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        head = "\r\n".join((*fields, "", ""))
        with socket.create_connection(("127.0.0.1", place.port)) as connection:
            connection.sendall(head.encode() + body)
            until(lambda: metric(served.address, "unroll_engine_running") == 30)
        until(lambda: metric(served.address, "unroll_engine_running") == 0)
        assert metric(served.address, "unroll_engine_cancelled_total") == 30
        assert httpx.post(f"{served.address}/v1/sentiment", json={"inputs": "a film"}).status_code == 200


def test_uvicorn_serves_the_app(tiny_store: Path) -> None:
    command = [sys.executable, "-m", "uvicorn", "app.main:app", "--port", "0"]
    with started(command, r"http://127\.0\.0\.1:\d+", UNROLL_STORE=str(tiny_store), UNROLL_ENGINES="1") as served:
        assert httpx.post(f"{served.address}/v1/sentiment", json={"inputs": "a film"}).status_code == 200


def test_the_front_end_does_not_import_torch() -> None:
    code = "import sys, app.cli.serve, app.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_port_in_use_is_said_plainly(tiny_store: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "app", "serve", "--store", str(tiny_store), "--port", port]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 1
    assert "another --port" in ended.stderr
    assert "Traceback" not in ended.stderr


_OUT_OF_RANGE = (["--port", "70000"], ["--engines", "-1"], ["--workers", "0"])


@pytest.mark.parametrize(
    "options",
    [
        ["--store", "/nowhere"],
        ["--devices", "gpu"],
        *(pytest.param(options, marks=pytest.mark.slow) for options in _OUT_OF_RANGE),
    ],
)
def test_settings_that_cannot_be_are_said_plainly(options: list[str]) -> None:
    command = [sys.executable, "-m", "app", "serve", *options]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert options[0].removeprefix("--") in ended.stderr
