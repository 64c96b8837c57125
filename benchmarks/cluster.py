"""What Ray Serve costs: `python -m benchmarks.cluster`, in the environment of `make test-ray`.

One, two and three replicas of a front end and an engine, on Ray behind its proxy or its HAProxy, beside as many of
`unroll serve` behind HAProxy, with one client and with many. Needs haproxy.
"""

import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import psutil

from benchmarks.balancer import balancing
from benchmarks.comparison import warm_up, workloads
from benchmarks.inputs import Workload
from benchmarks.load import LoadGenerator
from benchmarks.options import STORE, Counts, Names
from benchmarks.ray_service import on_ray
from benchmarks.replicas import replicas, wait_until_up
from benchmarks.report import heading, refuse, table

_JOBS = ("sentiment", "translate", "caption")
_MANY = 32  # clients


@dataclass(frozen=True)
class Place:
    """A running service: its port, and the process that all its others come from."""

    port: int
    pids: list[int]

    def cpu_seconds(self) -> float:
        """Processor time of all processes of the service so far."""
        found: dict[int, float] = {}
        for pid in self.pids:
            process = psutil.Process(pid)
            for one in (process, *process.children(recursive=True)):
                try:
                    times = one.cpu_times()
                except psutil.NoSuchProcess:
                    continue
                found[one.pid] = times.user + times.system
        return sum(found.values())


@contextmanager
def on_one_machine(store: Path, count: int) -> Iterator[Place]:
    """Replicas of `unroll serve` behind HAProxy, as in docker-compose.yml."""
    with tempfile.TemporaryDirectory() as folder, replicas(store, count, "--no-log-requests") as services:
        addresses = [f"http://127.0.0.1:{service.port}" for service in services]
        with balancing("haproxy", addresses, Path(folder)) as balancer:
            wait_until_up(balancer)
            yield Place(balancer.port, [balancer.pid, *(service.pid for service in services)])


@contextmanager
def on_cluster(store: Path, count: int, *, haproxy: bool) -> Iterator[Place]:
    """The same on Ray Serve."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with on_ray(store, count, port, haproxy=haproxy) as pid:
        yield Place(port, [pid])


WAYS: dict[str, Callable[[Path, int], AbstractContextManager[Place]]] = {
    "unroll serve behind HAProxy": on_one_machine,
    "Ray, its proxy": partial(on_cluster, haproxy=False),
    "Ray, its HAProxy": partial(on_cluster, haproxy=True),
}


@dataclass(frozen=True)
class Figures:
    """One way with so many replicas: p50 in ms with one client, requests a second with many, and the processor time of
    a request then, in ms, of all processes but the clients."""

    p50: float
    rate: float
    cpu: float
    failures: list[str]


def measure(place: Place, load: LoadGenerator, work: Workload, seconds: float) -> Figures:
    alone = load.measure(place.port, work, clients=1, warm_up=warm_up(seconds), seconds=seconds)
    load.measure(place.port, work, clients=_MANY, warm_up=0, seconds=warm_up(seconds))
    before = place.cpu_seconds()
    many = load.measure(place.port, work, clients=_MANY, warm_up=0, seconds=seconds)
    cpu = (place.cpu_seconds() - before) / max(1, len(many.latencies))  # of all that were sent
    return Figures(alone.milliseconds(0.5) or 0.0, many.rate, 1000 * cpu, alone.failures + many.failures)


@click.command()
@STORE
@click.option("--tasks", type=Names(_JOBS), default="sentiment,translate", show_default=True, help="Jobs to measure.")
@click.option("--replicas", "counts", type=Counts(), default="1,2,3", show_default=True, help="Replicas.")
@click.option("--seconds", default=6.0, show_default=True, help="Of each measurement, after a warm-up.")
def main(store: Path, tasks: list[str], counts: list[int], seconds: float) -> None:
    """Print a Markdown table: p50, throughput and processor time on Ray, and their ratios to those of one machine."""
    about = heading("benchmarks.cluster")
    works, remarks = workloads(tasks, store)
    failures, lines = list[str](), list[list[str]]()
    with LoadGenerator() as load:
        for count in counts:
            figures: dict[str, dict[str, Figures]] = {}
            for way, running in WAYS.items():
                with running(store, count) as place:
                    figures[way] = {work.job: measure(place, load, work, seconds) for work in works}
            for work in works:
                usual = figures["unroll serve behind HAProxy"][work.job]
                for way, of_way in figures.items():
                    lines.append([work.job, str(count), way, *_cells(of_way[work.job], usual)])
                    failures += of_way[work.job].failures
    heads = [
        "job",
        "replicas",
        "way",
        "p50 ms, 1 client",
        "ms more",
        f"requests/s, {_MANY} clients",
        "÷",
        "CPU ms a request",
        "÷",
    ]
    click.echo(f"{about}\n\n{table(heads, lines, words=[heads[0], heads[2]])}")
    for remark in remarks:
        click.echo(f"\n{remark}")
    refuse(failures)


def _cells(figures: Figures, usual: Figures) -> list[str]:
    return [
        f"{figures.p50:.2f}",
        f"{figures.p50 - usual.p50:+.2f}",
        f"{figures.rate:.0f}",
        f"{figures.rate / max(usual.rate, 1e-9):.2f}",
        f"{figures.cpu:.2f}",
        f"{figures.cpu / max(usual.cpu, 1e-9):.2f}",
    ]


if __name__ == "__main__":
    main()
