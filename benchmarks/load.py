"""Closed-loop HTTP clients in a process of their own, lean enough to leave the cores to the service.

Each client keeps one connection and sends its next request when the answer to the last has come. Standard library
and uvloop only; of HTTP it knows what the service sends: a status line and Content-Length.
"""

import asyncio
import itertools
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Self

import uvloop

from benchmarks.inputs import Workload
from benchmarks.sample import Sample

REFUSALS = (429, 503)
_PATIENCE = 90.0  # seconds after the measurement in which the last answers may come
_ANSWER = b'{"results"'


@dataclass
class _Run:
    """What all clients of a measurement share. Times are of `time.perf_counter`."""

    port: int
    requests: Iterator[bytes]
    first: float
    last: float
    finished: int = 0
    latencies: list[float] = field(default_factory=list)
    refused: int = 0
    errors: list[str] = field(default_factory=list)


def _request(work: Workload, body: bytes) -> bytes:
    head = f"POST {work.path} HTTP/1.1\r\nHost: unroll\r\nContent-Type: {work.content_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to a request."""
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    return int(head.split(b" ", 2)[1]), await reader.readexactly(length)


async def _client(run: _Run) -> None:
    """Ask until the time is over. A broken connection is an error and ends the client."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", run.port)
        while (sent := time.perf_counter()) < run.last:
            status, body = await _ask(reader, writer, next(run.requests))
            received = time.perf_counter()
            if status in REFUSALS:
                run.refused += 1
                await asyncio.sleep(0.01)
            elif status != 200 or not body.startswith(_ANSWER):
                run.errors.append(f"{status} {body[:200].decode(errors='replace')}")
                await asyncio.sleep(0.01)
            else:
                run.finished += run.first <= received < run.last
                if sent >= run.first:
                    run.latencies.append(received - sent)
        writer.close()
    except (OSError, EOFError, IndexError, ValueError) as error:
        run.errors.append(f"{type(error).__name__}: {error}")


async def _clients(port: int, work: Workload, clients: int, warm_up: float, seconds: float) -> Sample:
    requests = [_request(work, body) for body in work.bodies]
    first = time.perf_counter() + warm_up
    run = _Run(port, itertools.cycle(requests), first, first + seconds)
    cpu, started = time.process_time(), time.perf_counter()
    tasks = [asyncio.create_task(_client(run)) for _ in range(clients)]
    ended, late = await asyncio.wait(tasks, timeout=warm_up + seconds + _PATIENCE)
    cores = (time.process_time() - cpu) / (time.perf_counter() - started)
    for task in ended:
        task.result()
    for task in late:
        task.cancel()
        run.errors.append(f"no answer within {_PATIENCE:.0f} s")
    return Sample(
        rate=run.finished / seconds,
        latencies=tuple(run.latencies),
        refused=run.refused,
        errors=tuple(run.errors),
        cores=cores,
    )


def _measure(port: int, work: Workload, clients: int, warm_up: float, seconds: float) -> Sample:
    return uvloop.run(_clients(port, work, clients, warm_up, seconds))


class LoadGenerator:
    """The process with the clients."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown()

    def measure(self, port: int, work: Workload, *, clients: int, warm_up: float, seconds: float) -> Sample:
        """Throughput counts answers that came within the measurement, latencies those of requests sent in it."""
        return self._pool.submit(_measure, port, work, clients, warm_up, seconds).result()
