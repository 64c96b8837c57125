"""Short requests beside long ones: simultaneous open loops, each with its own load generator."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Self

from benchmarks.inputs import Workload, long_texts, mixed, shorter_half
from benchmarks.load import LoadGenerator, OpenSample
from benchmarks.sample import Sample

LONG_SHARE = 0.1  # of the requests
MODERATE = 0.6  # of the rate that a closed loop reaches
CLIENTS = 64  # of that closed loop


class Mix(NamedTuple):
    """Short requests of a job, long ones, and both together."""

    short: Workload
    long: Workload
    both: Workload


def mix(work: Workload, store: Path) -> Mix:
    """One long request among nine short ones, which are the shorter half of the job's inputs."""
    short, long = shorter_half(work), long_texts(work.job, store)
    return Mix(short, long, mixed(short, long, LONG_SHARE))


class Traffic:
    """Two load generators, started before the service."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._generators = [self._stack.enter_context(LoadGenerator()) for _ in range(2)]
        self._threads = self._stack.enter_context(ThreadPoolExecutor(2))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def peak(self, port: int, work: Workload, *, warm_up: float, seconds: float) -> Sample:
        """A closed loop of the first generator; the second one is started, too."""
        self._generators[1].measure(port, work, clients=1, warm_up=0, seconds=0.01)
        return self._generators[0].measure(port, work, clients=CLIENTS, warm_up=warm_up, seconds=seconds)

    def measure(
        self, port: int, streams: Sequence[tuple[Workload, float]], *, seed: int, warm_up: float, seconds: float
    ) -> list[OpenSample]:
        """One or two workloads at the same time, each at its own rate."""
        running = [
            self._threads.submit(
                generator.measure_open,
                port,
                work,
                rate=rate,
                seed=seed + 1000 * place,
                warm_up=warm_up,
                seconds=seconds,
            )
            for place, (generator, (work, rate)) in enumerate(zip(self._generators, streams, strict=False))
        ]
        return [future.result() for future in running]

    def moderate(
        self, port: int, requests: Mix, peak: float, *, seed: int, warm_up: float, seconds: float, alone: bool = False
    ) -> list[OpenSample]:
        """Short and long requests at a moderate share of the `peak` rate of both, or the same short ones `alone`."""
        rate = MODERATE * peak
        streams = [(requests.short, (1 - LONG_SHARE) * rate), (requests.long, LONG_SHARE * rate)]
        return self.measure(port, streams[:1] if alone else streams, seed=seed, warm_up=warm_up, seconds=seconds)
