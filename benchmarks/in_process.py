"""The model called in process, in processes of one thread."""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from typing import Self

import torch

from benchmarks.inputs import Workload
from benchmarks.sample import Sample, together
from benchmarks.ways import Way

_START_SECONDS = 120  # until the slowest process must be ready


class InProcess:
    """One single-threaded process per engine of the service, so that both use the same cores."""

    def __init__(self, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.processes = processes
        barrier = context.Barrier(processes)
        self._pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_prepare, initargs=(barrier,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown()

    def measure(self, way: Way, work: Workload, *, warm_up: float, seconds: float) -> Sample:
        """Run a way in one process, or in all of them at once."""
        count = 1 if way.alone else self.processes
        running = [self._pool.submit(_run, way, work, warm_up, seconds) for _ in range(count)]
        return together(future.result() for future in running)


_start: Barrier


def _prepare(barrier: Barrier) -> None:
    global _start
    _start = barrier
    torch.set_num_threads(1)


def _run(way: Way, work: Workload, warm_up: float, seconds: float) -> Sample:
    """In a process of the pool: load, warm up, wait for the others, measure."""
    turns = way.turns(work)
    next(turns)  # loads the model
    warm = time.perf_counter() + warm_up
    while time.perf_counter() < warm:
        next(turns)
    if not way.alone:
        _start.wait(_START_SECONDS)
    finished, latencies = 0, []
    cpu = time.process_time()
    started = before = time.perf_counter()
    while before < started + seconds:
        finished += next(turns)
        now = time.perf_counter()
        latencies.append(now - before)
        before = now
    wall = before - started
    return Sample(
        rate=finished / wall,
        latencies=tuple(latencies) if way.alone else (),
        cores=(time.process_time() - cpu) / wall,
    )
