"""Engines that join and leave while the client runs, and engines with the clock of another machine."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil
import pytest

from app.engine.client import EngineClient
from app.engine.config import EngineConfig
from app.engine.forking import EngineTemplate
from app.engine.process import EngineProcesses
from app.engine.protocol import Decode, Label, Terms, Tokens
from app.errors import TimedOut
from app.request_context import REQUEST_CONTEXT, RequestContext
from app.supervisor import spawn
from tests.conftest import PATIENCE
from tests.engine.test_client import ENDLESS, LABEL, SOURCE, TRANSLATE, kill, running, until

AHEAD = 100_000.0  # seconds of another machine's clock
LONG = Decode(max_tokens=4000, forbidden=[0])  # lasts several statuses; the native unit would end before one comes


@pytest.fixture
def start_engine(tiny_store: Path, template: EngineTemplate) -> Iterator[Callable[[], EngineProcesses]]:
    """Starts an engine process over the tiny store."""
    started: list[EngineProcesses] = []

    def start() -> EngineProcesses:
        config = EngineConfig(endpoint="", store=str(tiny_store))
        started.append(EngineProcesses(config, ["cpu"], heartbeat_seconds=PATIENCE, template=template))
        return started[-1]

    yield start
    for engines in started:
        engines.stop()


def test_a_leaving_engine_answers_its_requests_and_gets_no_more(start_engine: Callable[[], EngineProcesses]) -> None:
    async def scenario() -> None:
        (first,), (second,) = start_engine().endpoints, start_engine().endpoints
        async with EngineClient([]) as client:
            early = asyncio.create_task(client.answer(TRANSLATE, SOURCE, LONG, Terms()))
            client.set_endpoints([first])  # the request waited for it
            await until(lambda: running(client) == 1)
            instance = client.view.ready[0].instance
            client.set_endpoints([first, second])
            await until(lambda: client.view.places == (0, 1))
            client.set_endpoints([second])
            assert client.view.count == 1
            await client.answer(LABEL, Tokens([5, 6]), Label(), Terms())
            await until(lambda: client.view.ready[0].counters["requests"] == 1)
            assert client.view.ready[0].instance != instance
            assert len((await early).hypotheses[0].tokens) == LONG.max_tokens
            client.set_endpoints([first, second])  # it comes back, under its old number, forgotten by now or not
            await until(lambda: sorted(client.view.places) == [0, 1])
            counts = {status.instance: status.counters["requests"] for status in client.view.ready}
            assert counts[instance] == 1

    asyncio.run(scenario())


def test_requests_of_a_leaving_engine_that_ends_are_sent_again(start_engine: Callable[[], EngineProcesses]) -> None:
    async def scenario() -> None:
        leaving, staying = start_engine(), start_engine()
        async with EngineClient(leaving.endpoints) as client:
            sent = [asyncio.create_task(client.answer(TRANSLATE, SOURCE, LONG, Terms())) for _ in range(4)]
            parts = client.stream(TRANSLATE, SOURCE, LONG, Terms())
            streamed = [await anext(parts)]
            await until(lambda: running(client) == 5)
            client.set_endpoints(staying.endpoints)
            assert client.view.count == 1
            kill(leaving)
            streamed += [part async for part in parts]
            answers = [await task for task in sent]
            tokens = answers[0].hypotheses[0].tokens
            assert len(tokens) == LONG.max_tokens
            assert all(answer.hypotheses[0].tokens == tokens for answer in answers)
            assert [token for part in streamed if hasattr(part, "tokens") for token in part.tokens] == tokens

    asyncio.run(scenario())


@pytest.fixture
def engine_elsewhere(tiny_store: Path) -> Iterator[str]:
    """The endpoint of an engine whose clock began long before that of this machine, as on another machine."""
    apart = ["unshare", "--time", "--monotonic", str(int(AHEAD))]
    if subprocess.run([*apart, "true"], check=False, capture_output=True).returncode:
        pytest.skip("a process may not have a clock of its own here (unshare --time)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    config = msgspec.json.encode(EngineConfig(endpoint=endpoint, store=str(tiny_store), device="cpu")).decode()
    reading, writing = os.pipe()
    start = spawn([*apart, sys.executable, "-P", "-m", "app.engine", config])
    child = start(writing, 0)
    yield endpoint
    child.request_stop()
    child.wait(PATIENCE)
    os.close(reading)
    os.close(writing)


def test_deadlines_and_times_are_those_of_this_machine(engine_elsewhere: str) -> None:
    async def scenario() -> None:
        async with EngineClient([engine_elsewhere]) as client:
            await until(lambda: client.view.is_ready)
            assert abs(client.view.ready[0].now - time.monotonic() - AHEAD) < PATIENCE
            context = RequestContext("a", time.monotonic())
            REQUEST_CONTEXT.set(context)
            whole = await client.answer(TRANSLATE, SOURCE, Decode(max_tokens=20), Terms(deadline=_in(PATIENCE)))
            assert whole.hypotheses[0].finish_reason == "length"
            assert await _cut_at_deadline(client) == "deadline"
            for one in context.executions:
                points = [one.arrived, one.started, one.encoded, one.first_token, one.ended]
                points = [context.started, *filter(None, points)]  # those that it reached
                assert points == sorted(points)
                assert one.ended < time.monotonic()
            await until(lambda: client.view.ready[0].figures[TRANSLATE].last_answered > context.started)
            assert client.view.ready[0].figures[TRANSLATE].last_answered < time.monotonic()

    asyncio.run(scenario())


def test_a_machine_that_falls_silent_is_taken_for_gone(
    engine_elsewhere: str, start_engine: Callable[[], EngineProcesses]
) -> None:
    """Its process is stopped, and closes no connection: as if its network were cut."""

    async def scenario() -> None:
        async with EngineClient([engine_elsewhere]) as client:
            sent = asyncio.create_task(client.answer(TRANSLATE, SOURCE, LONG, Terms()))
            await until(lambda: running(client) == 1)
            pid = _listener(int(engine_elsewhere.rpartition(":")[2]))
            os.kill(pid, signal.SIGSTOP)
            try:
                client.set_endpoints([engine_elsewhere, *start_engine().endpoints])
                assert len((await sent).hypotheses[0].tokens) == LONG.max_tokens
            finally:
                os.kill(pid, signal.SIGCONT)

    asyncio.run(scenario())


async def _cut_at_deadline(client: EngineClient) -> str:
    """The finish reason that an engine gives. On a busy machine the client may be faster."""
    while True:
        with suppress(TimedOut):
            answer = await client.answer(TRANSLATE, SOURCE, ENDLESS, Terms(deadline=_in(1)))
            return answer.hypotheses[0].finish_reason


def _in(seconds: float) -> float:
    return time.monotonic() + seconds


def _listener(port: int) -> int:
    """The process that listens on a port."""
    found = psutil.net_connections("tcp")
    here = [one.pid for one in found if one.pid and one.status == psutil.CONN_LISTEN and one.laddr[1:] == (port,)]
    return here[0]
