"""Replicas for 10, 1,000 and 100,000 requests a second, by simulation: `python -m benchmarks.simulation`.

One replica is measured with one client and with many; from these costs `benchmarks.queueing` predicts three replicas
behind HAProxy, which are measured as well. Figures of docs/scale.md.
"""

import json
import math
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import click
import httpx
import psutil

from app.engine.protocol import Tokens
from benchmarks.balancer import Balancer, balancing
from benchmarks.comparison import workloads
from benchmarks.inputs import TEXTS_AND_IMAGES, Workload
from benchmarks.load import LoadGenerator
from benchmarks.options import STORE, Names
from benchmarks.queueing import Cluster, Costs, Rounds, Simulated, closed_loop, open_loop
from benchmarks.replicas import replicas, wait_until_up
from benchmarks.report import heading, refuse, table
from benchmarks.service import Service, engines_of
from benchmarks.sizing import Memory, memory_of

_UNIT = 6  # cell steps of a round of decoding: the setting `unit`
_RATES = (10, 1_000, 100_000)
_CELL = 2_000  # requests a second of one load balancer; more are several cells, each with its own
_POD = Cluster(replicas=1, engines=2, cores=2)  # the overlay `cpu` of deploy/kubernetes
_LIMIT = 0.5  # seconds: the p99 that a size must keep
_MOST = 20  # times the replicas that processor time alone needs, where a search for a size ends
_SEARCHES = 8  # halvings of the interval in which a cost lies
_REQUESTS = 1_000  # of one simulation in the search
_GIB = 2**30


@dataclass
class Work:
    """What a load cost, summed over its measurements: processor seconds of each part until the last answer, `answers`
    in all, and `in_time`, those within the `seconds` of the measurements. `wall` ends with the last answer."""

    seconds: float = 0.0
    in_time: float = 0.0
    wall: float = 0.0
    answers: float = 0.0
    proxy: float = 0.0
    front_end: float = 0.0
    engine: float = 0.0
    steps: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.in_time / self.seconds

    @property
    def cores(self) -> float:
        """Processor seconds a second of all parts: what the machine gave them."""
        return self.worked / self.wall

    @property
    def worked(self) -> float:
        """Processor seconds of all parts."""
        return self.proxy + self.front_end + self.engine

    def of_a_request(self, part: str) -> float:
        return float(getattr(self, part)) / self.answers


@dataclass
class Bench:
    """Three replicas, HAProxy before one of them and HAProxy before all, and the clients."""

    services: list[Service]
    one: Balancer
    all: Balancer
    load: LoadGenerator

    def measure(self, into: Work, balancer: Balancer, work: Workload, clients: int, seconds: float) -> None:
        """Put a load on the replicas behind a balancer, and add what it cost."""
        counted = self._counters()
        before, began = self._worked(balancer), time.monotonic()
        sample = self.load.measure(balancer.port, work, clients=clients, warm_up=seconds, seconds=seconds)
        after, ended = self._worked(balancer), time.monotonic()
        more = self._counters()
        into.seconds += seconds
        into.in_time += sample.rate * seconds
        into.wall += ended - began
        into.answers += more["requests"] - counted["requests"]
        into.steps += more["emit_steps"] - counted["emit_steps"]
        for process, (part, worked) in after.items():  # one that has ended since, an idle image decoder, did nothing
            worked -= before.get(process, (part, 0.0))[1]
            setattr(into, part, getattr(into, part) + worked)
        into.latencies += sample.latencies
        into.failures += sample.failures

    def _counters(self) -> Counter[str]:
        """The engines' counters, summed."""
        with ThreadPoolExecutor(len(self.services)) as pool:
            return sum(map(Counter, pool.map(Service.counters, self.services)), Counter[str]())

    def _worked(self, balancer: Balancer) -> dict[int, tuple[str, float]]:
        """The part that each process is of, and its processor seconds: HAProxy, front ends with their image decoders,
        and engines."""
        parts = {balancer.pid: "proxy"}
        for service in self.services:
            own = psutil.Process(service.pid)
            parts |= {process.pid: "front_end" for process in (own, *own.children(recursive=True))}
            parts |= {engine.pid: "engine" for engine in engines_of(own)}
        worked = {}
        for pid, part in parts.items():
            with suppress(psutil.NoSuchProcess):
                worked[pid] = (part, sum(psutil.Process(pid).cpu_times()[:2]))
        return worked


@dataclass
class Measured:
    """One job: the loads of a single replica with one client and with many, that of three, and a request's bytes."""

    job: str
    alone: Work = field(default_factory=Work)
    full: Work = field(default_factory=Work)
    three: Work = field(default_factory=Work)
    bytes_in: float = 0.0
    bytes_out: float = 0.0
    sizes: list[float] = field(default_factory=lambda: [1.0])  # of the inputs, in mean ones
    memory: Memory = field(default_factory=lambda: Memory(0, 0, 0))


def measured(bench: Bench, work: Workload, clients: int, seconds: float, rounds: int) -> Measured:
    """Measure the loads by turns, so that all of them have the same machine."""
    found = Measured(work.job)
    for service in bench.services:
        warm_up_port(bench.load, service.port, work)
    for _ in range(rounds):
        bench.measure(found.alone, bench.one, work, 1, seconds)
        bench.measure(found.full, bench.one, work, clients, seconds)
        bench.measure(found.three, bench.all, work, clients, seconds)
    answer = httpx.post(
        f"{bench.all.address}{work.path}",
        content=work.bodies[0],
        headers={"Content-Type": work.content_type},
        timeout=60,
    )
    found.sizes = _sizes_of(work)
    heads = 300  # bytes of a request's and an answer's heads, about
    found.bytes_in = sum(map(len, work.bodies)) / len(work.bodies) + heads
    found.bytes_out = len(answer.content) + heads
    memories = [memory_of(psutil.Process(service.pid)) for service in bench.services]
    found.memory = max(memories, key=lambda memory: memory.all)
    return found


def _sizes_of(work: Workload) -> list[float]:
    lengths = [len(source.ids) if isinstance(source, Tokens) else 1 for source in work.sources]
    return [length * len(lengths) / sum(lengths) for length in lengths]


def warm_up_port(load: LoadGenerator, port: int, work: Workload) -> None:
    load.measure(port, work, clients=8, warm_up=0, seconds=1)


def fitted(found: Measured, clients: int) -> Costs:
    """Costs with which the simulation of one replica takes as much processor time as the real one did, with one client
    and with `clients`."""
    alone, full = found.alone, found.full
    rounds = 1 + round(alone.steps / alone.answers / _UNIT)
    costs = Costs(
        full.of_a_request("proxy"),
        _split(alone.of_a_request("front_end") / 2, 1.0),
        _split(alone.of_a_request("engine") / rounds, 1.0),
        rounds,
        tuple(found.sizes),
    )
    cluster = Cluster(1, 1, full.cores, shared=True)
    seconds = min(4.0, _REQUESTS / full.rate)

    def front_end(share: float) -> Costs:
        return replace(costs, front_end=_split(alone.of_a_request("front_end") / 2, share))

    def engine(share: float) -> Costs:
        return replace(costs, engine=_split(alone.of_a_request("engine") / rounds, share))

    for _ in range(2):  # each depends a little on the other
        for part, changed in (("engine", engine), ("front end", front_end)):
            target = full.of_a_request(part.replace(" ", "_"))
            costs = _searched(changed, part, target, lambda these: closed_loop(these, cluster, clients, seconds))
    return costs


def _split(one: float, share: float) -> Rounds:
    """A round of one request that costs `one`, of which `share` is the request's own."""
    return Rounds(one * (1 - share), one * share)


def _searched(
    changed: Callable[[float], Costs], part: str, target: float, simulate: Callable[[Costs], Simulated]
) -> Costs:
    """The costs with the share of a request's own at which the part costs `target` for a request."""
    low, high = 0.0, 1.0
    for _ in range(_SEARCHES):
        middle = (low + high) / 2
        simulated = simulate(changed(middle))
        if simulated.busy[part] / simulated.rate > target:
            high = middle
        else:
            low = middle
    return changed((low + high) / 2)


def checked(found: Measured, costs: Costs, clients: int) -> list[list[str]]:
    """Three replicas: simulated with the cores that the machine gave, beside measured."""
    three = found.three
    simulated = closed_loop(costs, Cluster(3, 1, three.cores, shared=True), clients, min(6.0, 4000 / three.rate))
    latencies = sorted(three.latencies)
    pairs = {
        "requests/s": (simulated.rate, three.rate, 1),
        "processor ms of a request": (simulated.worked * 1000, three.worked / three.answers * 1000, 2),
        **{
            f"p{share * 100:.0f} ms": (
                simulated.quantile(share) * 1000,
                latencies[int(share * len(latencies))] * 1000,
                0,
            )
            for share in (0.5, 0.99)
        },
    }
    return [
        [found.job, what, *(f"{value:.{digits}f}" for value in (made, seen)), f"{(made / seen - 1) * 100:+.0f} %"]
        for what, (made, seen, digits) in pairs.items()
    ]


@dataclass(frozen=True)
class Size:
    """The replicas that a rate needs, and the simulation of one cell."""

    rate: int
    cells: int
    replicas: int
    simulated: Simulated


def sized(costs: Costs, rate: int) -> Size:
    """The fewest replicas with which p99 keeps `_LIMIT`. A higher rate than `_CELL` is split over cells."""
    cells = math.ceil(rate / _CELL)
    own = rate / cells
    seconds = max(2.0, 200 / own)
    least = own * max(
        costs.front_end.each * 2,
        costs.engine.each * costs.rounds / _POD.engines,
        (costs.front_end.each * 2 + costs.engine.each * costs.rounds) / _POD.cores,
    )

    def simulated(replicas: int) -> Simulated:
        return open_loop(costs, replace(_POD, replicas=replicas), own, seconds)

    def is_enough(found: Simulated) -> bool:
        return found.rate > 0.97 * found.arrivals and found.quantile(0.99) <= _LIMIT

    low, high = max(0, math.ceil(least) - 1), max(1, math.ceil(least))
    while not is_enough(found := simulated(high)):
        low, high = high, math.ceil(high * 1.25)
        if high > _MOST * max(1.0, least):
            raise click.ClickException(f"no number of replicas keeps p99 below {_LIMIT} s at {rate} requests/s")
    while high - low > 1:
        middle = (low + high) // 2
        if is_enough(other := simulated(middle)):
            high, found = middle, other
        else:
            low = middle
    return Size(rate, cells, cells * high, found)


def size_lines(found: Measured, costs: Costs) -> Iterator[list[str]]:
    """One row for each of `_RATES`."""
    replica_bytes = 1e6 * (found.memory.front_end + _POD.engines * found.memory.engine)
    for rate in _RATES:
        size = sized(costs, rate)
        fullest = max(size.simulated.busy, key=lambda part: size.simulated.busy[part])
        yield [
            found.job,
            f"{rate:,}",
            f"{size.cells}",
            f"{size.replicas:,}",
            f"{size.replicas * _POD.cores:,.0f}",
            f"{size.replicas * replica_bytes / _GIB:,.1f}",
            f"{rate * (found.bytes_in + found.bytes_out) * 8 / 1e6:,.1f}",
            f"{size.simulated.quantile(0.5) * 1000:.0f}",
            f"{size.simulated.quantile(0.99) * 1000:.0f}",
            *(f"{size.simulated.busy[part]:.2f}" for part in ("proxy", "front end", "engine")),
            fullest,
        ]


@click.command()
@STORE
@click.option("--tasks", "jobs", type=Names(TEXTS_AND_IMAGES), default=",".join(TEXTS_AND_IMAGES), show_default=True)
@click.option("--clients", type=click.IntRange(3), default=48, show_default=True, help="Concurrent HTTP clients.")
@click.option("--seconds", default=2.0, show_default=True, help="Of each measurement, after a warm-up as long.")
@click.option("--rounds", default=3, show_default=True, help="Measurements of each load, by turns.")
@click.option(
    "--measurements",
    "kept",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON file of measurements: read if it exists, else written.",
)
def main(store: Path, jobs: list[str], clients: int, seconds: float, rounds: int, kept: Path | None) -> None:
    """Measure, simulate the same, and simulate what was asked. Prints Markdown tables."""
    about = heading("benchmarks.simulation")
    if kept is not None and kept.exists():
        about, found = _read(kept)
    else:
        found = _measured(store, jobs, clients, seconds, rounds)
        if kept is not None:
            kept.write_text(json.dumps({"about": about, "jobs": [asdict(each) for each in found]}))
    pairs = [(each, fitted(each, clients)) for each in found]
    click.echo(f"{about}\n\n{_costs_table(pairs)}\n")
    heads = ["job", "three replicas", "simulated", "measured", "difference"]
    lines = [line for each, cost in pairs for line in checked(each, cost, clients)]
    click.echo(table(heads, lines, words=heads[:2]) + "\n")
    heads = ["job", "requests/s", "cells", "replicas", "cores", "memory GiB", "network Mbit/s", "p50 ms", "p99 ms"]
    heads += ["proxy busy", "front end busy", "engine busy", "fullest"]
    click.echo(
        table(heads, [line for each, cost in pairs for line in size_lines(each, cost)], words=("job", "fullest"))
    )
    refuse(failure for each in found for load in (each.alone, each.full, each.three) for failure in load.failures)


def _measured(store: Path, jobs: list[str], clients: int, seconds: float, rounds: int) -> list[Measured]:
    """Start three replicas and HAProxy, and measure each job."""
    works, remarks = workloads(jobs, store)
    for remark in remarks:
        click.echo(remark, err=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        services = stack.enter_context(replicas(store, 3))
        addresses = [f"http://127.0.0.1:{service.port}" for service in services]
        one, behind = (
            stack.enter_context(balancing("haproxy", chosen, folder)) for chosen in (addresses[:1], addresses)
        )
        bench = Bench(services, one, behind, stack.enter_context(LoadGenerator()))
        wait_until_up(one)
        wait_until_up(behind)
        return [measured(bench, work, clients, seconds, rounds) for work in works]


def _read(kept: Path) -> tuple[str, list[Measured]]:
    """The measurements of an earlier run."""
    content = json.loads(kept.read_text())
    found = []
    for job in content["jobs"]:
        loads = {name: Work(**job.pop(name)) for name in ("alone", "full", "three")}
        found.append(Measured(**job | loads | {"memory": Memory(**job["memory"])}))
    return content["about"], found


def _costs_table(pairs: list[tuple[Measured, Costs]]) -> str:
    """Processor ms of a request in each part, as measured, and the costs of rounds."""
    heads = ["job", "load", "requests/s", "cores", "proxy ms", "front end ms", "engine ms"]
    lines = []
    for found, _ in pairs:
        for name, load in (("1 client", found.alone), ("many clients", found.full), ("three replicas", found.three)):
            parts = [f"{load.of_a_request(part) * 1000:.3f}" for part in ("proxy", "front_end", "engine")]
            lines.append([found.job, name, f"{load.rate:.1f}", f"{load.cores:.2f}", *parts])
    heads_of_rounds = [
        "job",
        "rounds in an engine",
        "engine: a round, ms",
        "each request in it",
        "front end: a round, ms",
    ]
    heads_of_rounds.append("each request in it ")
    rounds = [
        [found.job, f"{cost.rounds}", *(f"{1000 * value:.3f}" for value in _values(cost))] for found, cost in pairs
    ]
    return f"{table(heads, lines, words=heads[:2])}\n\n{table(heads_of_rounds, rounds, words=heads[:1])}"


def _values(cost: Costs) -> tuple[float, ...]:
    return cost.engine.fixed, cost.engine.each, cost.front_end.fixed, cost.front_end.each


if __name__ == "__main__":
    main()
