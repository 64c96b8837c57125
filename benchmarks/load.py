"""HTTP clients in a separate process, cheap enough to leave the cores to the service.

Closed loop: each client keeps one connection and sends its next request when the answer to the last has come. Open
loop: requests arrive at random at a given rate, however many are unanswered. Standard library and uvloop only; of HTTP
it knows what servers send: Content-Length, chunks, or a connection that ends with the answer.
"""

import asyncio
import itertools
import multiprocessing
import random
import resource
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

import uvloop

from benchmarks.inputs import Workload
from benchmarks.sample import Sample

REFUSALS = (429, 503)
_PATIENCE = 90.0  # seconds to wait for the last answers after the measurement
_GOOD = (b"{", b"[", b'"', b"event:", b"data:")  # how JSON and a stream begin; an empty answer is an error
_BROKEN = (OSError, IndexError, ValueError)


@dataclass(frozen=True, kw_only=True)
class OpenSample(Sample):
    """An open loop: `offered` requests were due within the measurement, and latencies count from when each was due.
    `refusals` are the latencies of those refused, in seconds."""

    offered: int = 0
    refusals: tuple[float, ...] = ()


@dataclass
class _Run:
    """State that all clients of a measurement share. Times are of `time.perf_counter`."""

    port: int
    requests: Iterator[bytes]
    first: float
    last: float
    offered: int = 0
    finished: int = 0
    latencies: list[float] = field(default_factory=list)
    refused: int = 0
    refusals: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def note(self, status: int, body: bytes, since: float, *, within: bool) -> bool:
        """Count an answer to a request sent, or due, at `since`, `within` the measurement or in the warm-up; whether
        it was a good one."""
        received = time.perf_counter()
        if status in REFUSALS:
            self.refused += 1
            if within:
                self.refusals.append(received - since)
            return False
        if status != 200 or len(body) < 3 or not body.startswith(_GOOD):
            self.errors.append(f"{status} {body[:200].decode(errors='replace')}")
            return False
        self.finished += self.first <= received < self.last
        if within:
            self.latencies.append(received - since)
        return True


def _request(work: Workload, body: bytes) -> bytes:
    head = f"POST {work.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {work.content_type}\r\n"
    if work.timeout_ms is not None:
        head += f"X-Timeout-Ms: {work.timeout_ms}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class _Connection(asyncio.Protocol):
    """A connection to the service; opened when it is first used, and again when the service has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to a request. A kept connection that turns out to be closed before a byte
        of the answer came is opened again, once."""
        if self._transport is not None:
            try:
                return await self._exchange(self._transport, request)
            except ConnectionError:
                if self._received:
                    raise
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)
        return await self._exchange(transport, request)

    async def _exchange(self, transport: asyncio.Transport, request: bytes) -> tuple[int, bytes]:
        self._transport, self._received = transport, b""
        self._answer = asyncio.get_running_loop().create_future()
        transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._look(ended=False)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._look(ended=True)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the connection ended before the answer"))

    def _look(self, *, ended: bool) -> None:
        """Set the answer when it is complete."""
        if self._answer is None or self._answer.done():
            return
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        head = head.lower() + b"\r\n"
        try:
            content = _content(head, body, ended=ended)
            if content is not None:
                self._answer.set_result((int(head.split(b" ", 2)[1]), content))
        except (IndexError, ValueError) as error:
            self._answer.set_exception(error)
        if self._answer.done() and b"\r\nconnection: close\r\n" in head:
            self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None


def _content(head: bytes, body: bytes, *, ended: bool) -> bytes | None:
    """The content of an answer; None while it is incomplete. `ended`: the connection is closed."""
    if b"\r\ncontent-length:" in head:
        length = int(head.split(b"\r\ncontent-length:", 1)[1].split(b"\r\n", 1)[0])
        return body[:length] if len(body) >= length else None
    if b"\r\ntransfer-encoding: chunked\r\n" in head:
        return _chunks(body)
    return body if ended else None


def _chunks(body: bytes) -> bytes | None:
    """The content of a chunked body (RFC 9112, section 7.1), without trailers; None while the last chunk is missing."""
    content = b""
    while b"\r\n" in body:
        line, _, body = body.partition(b"\r\n")
        size = int(line.split(b";")[0], 16)
        if not size:
            return content if body.startswith(b"\r\n") else None
        content, body = content + body[:size], body[size + 2 :]
    return None


async def _client(run: _Run) -> None:
    """Send requests until the time is over. A broken connection is an error and ends the client."""
    connection = _Connection(run.port)
    try:
        while (sent := time.perf_counter()) < run.last:
            status, body = await connection.ask(next(run.requests))
            if not run.note(status, body, sent, within=sent >= run.first):
                await asyncio.sleep(0.01)
    except _BROKEN as error:
        run.errors.append(f"{type(error).__name__}: {error}")
    finally:
        connection.close()


async def _arrivals(run: _Run, rate: float, seed: int, warm_up: float) -> None:
    """Requests at the times of a Poisson process, each on a free connection, or a new one when none is free."""
    source, free = random.Random(seed), list[_Connection]()
    asking: set[asyncio.Task[None]] = set()
    due = run.first - warm_up + source.expovariate(rate)
    while due < run.last:
        await asyncio.sleep(due - time.perf_counter())  # returns at once when late
        run.offered += due >= run.first
        task = asyncio.create_task(_arrival(run, free, next(run.requests), due))
        asking.add(task)
        task.add_done_callback(asking.discard)
        due += source.expovariate(rate)
    await asyncio.gather(*asking)
    for connection in free:
        connection.close()


async def _arrival(run: _Run, free: list[_Connection], request: bytes, due: float) -> None:
    """Reuse the connection that was used last, so that idle ones can close."""
    connection = free.pop() if free else _Connection(run.port)
    since = min(due, time.perf_counter())  # the event loop's clock may wake it a little early
    try:
        status, body = await connection.ask(request)
        run.note(status, body, since, within=due >= run.first)
        free.append(connection)
    except _BROKEN as error:
        run.errors.append(f"{type(error).__name__}: {error}")
        connection.close()


def _run(port: int, work: Workload, warm_up: float, seconds: float) -> _Run:
    first = time.perf_counter() + warm_up
    return _Run(port, itertools.cycle([_request(work, body) for body in work.bodies]), first, first + seconds)


async def _finish(run: _Run, clients: list[Coroutine[Any, Any, None]]) -> float:
    """Run all clients, at most `_PATIENCE` beyond the measurement. Returns the cores that this process used."""
    cpu, started = time.process_time(), time.perf_counter()
    tasks = [asyncio.create_task(client) for client in clients]
    ended, late = await asyncio.wait(tasks, timeout=run.last - started + _PATIENCE)
    cores = (time.process_time() - cpu) / (time.perf_counter() - started)
    for task in ended:
        task.result()
    for task in late:
        task.cancel()
        run.errors.append(f"no answer within {_PATIENCE:.0f} s")
    return cores


async def _closed(port: int, work: Workload, clients: int, warm_up: float, seconds: float) -> Sample:
    run = _run(port, work, warm_up, seconds)
    cores = await _finish(run, [_client(run) for _ in range(clients)])
    return Sample(
        rate=run.finished / seconds,
        latencies=tuple(run.latencies),
        refused=run.refused,
        errors=tuple(run.errors),
        cores=cores,
    )


async def _open(port: int, work: Workload, rate: float, seed: int, warm_up: float, seconds: float) -> OpenSample:
    run = _run(port, work, warm_up, seconds)
    cores = await _finish(run, [_arrivals(run, rate, seed, warm_up)])
    return OpenSample(
        rate=run.finished / seconds,
        latencies=tuple(run.latencies),
        refused=run.refused,
        errors=tuple(run.errors),
        cores=cores,
        offered=run.offered,
        refusals=tuple(run.refusals),
    )


def _measure(port: int, work: Workload, clients: int, warm_up: float, seconds: float) -> Sample:
    return uvloop.run(_closed(port, work, clients, warm_up, seconds))


def _measure_open(port: int, work: Workload, rate: float, seed: int, warm_up: float, seconds: float) -> OpenSample:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a connection for each unanswered request
    try:
        return uvloop.run(_open(port, work, rate, seed, warm_up, seconds))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class LoadGenerator:
    """The process of the clients."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown()

    def measure(self, port: int, work: Workload, *, clients: int, warm_up: float, seconds: float) -> Sample:
        """Closed loop. Throughput counts answers that came within the measurement, latencies those of requests sent
        in it."""
        return self._pool.submit(_measure, port, work, clients, warm_up, seconds).result()

    def measure_open(
        self, port: int, work: Workload, *, rate: float, seed: int, warm_up: float, seconds: float
    ) -> OpenSample:
        """Open loop: Poisson arrivals at `rate` requests per second. Latencies count from when a request was due, so
        that waiting behind a slow answer is not left out."""
        return self._pool.submit(_measure_open, port, work, rate, seed, warm_up, seconds).result()
