"""Memory and throughput by cores: `python -m benchmarks.sizing`. The table is in docs/deploy.md."""

import io
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import click
import psutil
from PIL import Image

from benchmarks.comparison import warm_up, workloads
from benchmarks.inputs import JOBS, TEXTS_AND_IMAGES, Workload
from benchmarks.load import LoadGenerator
from benchmarks.options import OUTPUT, STORE, Counts, Names
from benchmarks.report import NONE, heading, refuse, table
from benchmarks.sample import Sample
from benchmarks.service import engines_of, running_service

CLIENTS = 64
LARGE = (4000, 3000)  # pixels of a photo of a telephone
_LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Memory:
    """Proportional set sizes in MB: pages that processes share count once."""

    front_end: float
    engine: float  # the largest
    all: float


@dataclass(frozen=True)
class Row:
    """One load, `what`, on a service with this number of cores."""

    cores: int
    engines: int
    what: str
    rate: float | None  # requests per second
    p95: float | None  # ms
    memory: Memory  # the most of each


def memory_of(service: psutil.Process) -> Memory:
    """The current memory of the service, of its largest engine, and of all its processes."""
    engines = [engine.memory_full_info().pss for engine in engines_of(service)]
    processes = [process.memory_full_info().pss for process in (service, *service.children(recursive=True))]
    return Memory(processes[0] / 1e6, max(engines) / 1e6, sum(processes) / 1e6)


class Watch:
    """Samples the memory of a service during a measurement."""

    def __init__(self, service: psutil.Process) -> None:
        self._service = service
        self._seen = [memory_of(service)]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            self._seen.append(memory_of(self._service))

    def most(self) -> Memory:
        return Memory(*(max(getattr(seen, name) for seen in self._seen) for name in ("front_end", "engine", "all")))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()


def large_photos(work: Workload) -> Workload:
    """The photos of a job, as large as those of a telephone."""
    bodies = []
    for body in work.bodies[:4]:
        file = io.BytesIO()
        Image.open(io.BytesIO(body)).resize(LARGE).save(file, "JPEG", quality=90)
        bodies.append(file.getvalue())
    return replace(work, job="caption, photos of 12 megapixels", bodies=bodies)


@contextmanager
def only_on(cores: set[int]) -> Iterator[None]:
    """Processes started within the block run on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def measured(works: list[Workload], store: Path, cores: int, seconds: float) -> Iterator[tuple[Row, Sample | None]]:
    """Idle, then with 64 clients, which use the other cores if there are any."""
    there = sorted(os.sched_getaffinity(0))
    mine, others = set(there[:cores]), set(there[cores:]) or set(there)
    with only_on(mine), running_service(store, 0) as service:
        process = psutil.Process(service.pid)
        time.sleep(1)
        yield Row(cores, service.engines, "at rest", None, None, memory_of(process)), None
        with only_on(others), LoadGenerator() as load:
            for work in works:
                with Watch(process) as watch:
                    sample = load.measure(
                        service.port, work, clients=CLIENTS, warm_up=warm_up(seconds), seconds=seconds
                    )
                yield (
                    Row(cores, service.engines, work.job, sample.rate, sample.milliseconds(0.95), watch.most()),
                    sample,
                )


@click.command()
@STORE
@click.option(
    "--tasks",
    "jobs",
    type=Names(JOBS),
    default=",".join(TEXTS_AND_IMAGES),
    show_default=True,
    help="Jobs to measure.",
)
@click.option("--cores", type=Counts(), default="1,2", show_default=True, help="Cores of the service, by affinity.")
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=6.0, show_default=True, help="Per measurement.")
@OUTPUT
def main(store: Path, jobs: list[str], cores: list[int], seconds: float, output: Path | None) -> None:
    """Measure memory and throughput, and print a Markdown table. Ends with status 1 if a request failed."""
    there = len(os.sched_getaffinity(0))
    if max(cores) > there:
        raise click.BadParameter(f"there are {there}", param_hint="--cores")
    about = heading("benchmarks.sizing")
    works, remarks = workloads(jobs, store)
    works += [large_photos(work) for work in works if work.job == "caption"]
    found = [item for count in cores for item in measured(works, store, count, seconds)]
    names = ("cores", "engines", "asked", "requests/s", "p95, ms", "front end, MB", "largest engine, MB", "all, MB")
    lines = [
        (
            *(str(row.cores), str(row.engines), row.what),
            *(NONE if value is None else f"{value:.0f}" for value in (row.rate, row.p95)),
            *(f"{size:.0f}" for size in (row.memory.front_end, row.memory.engine, row.memory.all)),
        )
        for row, _ in found
    ]
    click.echo(f"{about}\n\n{table(names, lines, words=('asked',))}")
    for remark in remarks:
        click.echo(f"\n{remark}")
    if output is not None:
        output.write_text(json.dumps({"about": about, "rows": [asdict(row) for row, _ in found]}, indent=1) + "\n")
    refuse(f"{failure} of {row.what}" for row, sample in found if sample for failure in sample.failures)


if __name__ == "__main__":
    main()
