"""Measures the service and its models in process, one after the other, on the same cores."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from benchmarks.in_process import InProcess
from benchmarks.inputs import Workload, workload
from benchmarks.load import LoadGenerator
from benchmarks.report import Measurement
from benchmarks.service import Service, ServiceFailed, running_service
from benchmarks.ways import WAYS, Kind


def workloads(jobs: Iterable[str], store: Path) -> tuple[list[Workload], list[str]]:
    """The inputs of jobs, and a remark on each job without a model. Raises ClickException if no job has a model."""
    found = {job: workload(job, store) for job in jobs}
    left_out = [job for job, work in found.items() if work is None]
    if len(left_out) == len(found):
        raise click.ClickException(f"{store} has no usable default model for {', '.join(left_out)}")
    remarks = [f"{job} is left out: the store has no usable default model for it." for job in left_out]
    return [work for work in found.values() if work is not None], remarks


def warm_up(seconds: float) -> float:
    """Seconds of warm-up before a measurement of `seconds`."""
    return min(3.0, seconds / 4)


@dataclass(frozen=True)
class Bench:
    """A service, a load generator, the processes to compare it with, and a progress bar."""

    service: Service
    load: LoadGenerator
    in_process: InProcess
    bar: "tqdm[Any]"

    def measurements(
        self, works: Sequence[Workload], clients: Sequence[int], seconds: float, *, leave_out: Sequence[Kind] = ()
    ) -> Iterator[Measurement]:
        """Each way of calling each model, then HTTP with each number of clients."""
        for work in works:
            for way in WAYS[work.job]:
                if way.kind in leave_out:
                    continue
                self.bar.set_description(f"{work.job}: in process, {way.name}")
                yield Measurement(
                    job=work.job,
                    kind=way.kind,
                    way=f"in process, {way.name}",
                    processes=1 if way.alone else self.in_process.processes,
                    sample=self.in_process.measure(way, work, warm_up=warm_up(seconds), seconds=seconds),
                )
                self.bar.update()
            for count in clients:
                yield self.over_http(work, count, seconds)

    def over_http(self, work: Workload, clients: int, seconds: float) -> Measurement:
        """A closed loop."""
        name = f"HTTP, {clients} client{'s' if clients > 1 else ''}"
        self.bar.set_description(f"{work.job}: {name}")
        before = self.service.counters()
        sample = self.load.measure(self.service.port, work, clients=clients, warm_up=warm_up(seconds), seconds=seconds)
        self.bar.update()
        return Measurement(
            job=work.job,
            kind="http",
            way=name,
            processes=self.service.engines,
            sample=sample,
            clients=clients,
            counters=self.service.counted_since(before),
        )


def count(works: Sequence[Workload], clients: Sequence[int], *, leave_out: Sequence[Kind] = ()) -> int:
    """The number of measurements that `Bench.measurements` yields."""
    return sum(len(clients) + sum(way.kind not in leave_out for way in WAYS[work.job]) for work in works)


@contextmanager
def bench(store: Path, engines: int, total: int) -> Iterator[Bench]:
    """Start everything, with a progress bar of `total` measurements. Raises ClickException if the service fails."""
    try:
        with (
            tqdm(total=total, desc="starting the service", unit="run", dynamic_ncols=True) as bar,
            running_service(store, engines) as service,
            InProcess(service.engines) as in_process,
            LoadGenerator() as load,
        ):
            yield Bench(service, load, in_process, bar)
            bar.set_description("ending the service")
    except ServiceFailed as error:
        raise click.ClickException(str(error)) from error


def failures(measurements: Iterable[Measurement]) -> Iterator[str]:
    """The failures over HTTP."""
    for row in measurements:
        yield from (f"{failure} during {row.job}, {row.way}" for failure in row.sample.failures)
        if row.counted("restarts"):
            yield f"an engine ended during {row.job}, {row.way}"
