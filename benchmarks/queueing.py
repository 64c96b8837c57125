"""A discrete-event simulation of replicas behind a load balancer: where requests wait, and which part is full first.

A front end and an engine work as the real ones do: in rounds, each over all that is there when it begins. A request
takes part in several rounds of an engine and leaves after its last. Times are in seconds, costs in processor seconds.
"""

import math
import random
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count
from typing import Any

import simpy

Process = Generator[simpy.Event, Any, None]
_FRONT_END_ROUNDS = 2  # of a request: its arrival and its answer
MOST_ROWS = 64  # of one round: `slots` of an engine on a CPU


@dataclass(frozen=True)
class Rounds:
    """The cost of a round, and of each request in it."""

    fixed: float
    each: float

    def seconds(self, size: float) -> float:
        """Of requests that are together `size` times as large as a mean one."""
        return self.fixed + self.each * size


@dataclass(frozen=True)
class Costs:
    """What one request costs the parts. `rounds` of an engine are those of a mean request; `sizes` are those of
    requests, each as probable, whose mean is 1: an engine needs as much more time for a row."""

    proxy: float
    front_end: Rounds
    engine: Rounds
    rounds: int
    sizes: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class Cluster:
    """`cores` are those of each replica, or, if `shared`, of everything together, which need not be a whole number."""

    replicas: int
    engines: int
    cores: float
    shared: bool = False


@dataclass(frozen=True)
class Simulated:
    """`rate` in requests a second, and that of their arrivals; latencies in seconds, sorted; `busy` is the share of the
    time in which a part worked: the proxy, the mean front end, the mean engine; `worked` the processor seconds of a
    request."""

    rate: float
    arrivals: float
    latencies: tuple[float, ...]
    busy: dict[str, float]
    worked: float

    def quantile(self, share: float) -> float:
        return self.latencies[min(int(share * len(self.latencies)), len(self.latencies) - 1)]


class _Priority(IntEnum):
    """Engines run at nice 10: the other parts take their cores."""

    USUAL = 0
    ENGINE = 1


class _Cores:
    """Cores that processes take for a round; with a share of a core, each is slower."""

    def __init__(self, env: simpy.Environment, cores: float) -> None:
        whole = max(1, round(cores))
        self._env, self._speed, self._free = env, cores / whole, simpy.PreemptiveResource(env, whole)

    def work(self, begun: Callable[[], float], priority: _Priority) -> Process:
        """Take a core for the processor seconds that `begun()` returns when it is there. A more urgent process may take
        it away for a while."""
        left: float | None = None
        while left is None or left > 0:
            since = math.inf  # it has no core
            with self._free.request(priority) as core:
                try:
                    yield core
                    left, since = begun() if left is None else left, self._env.now
                    yield self._env.timeout(left / self._speed)
                    left = 0.0
                except simpy.Interrupt:
                    if left is not None:
                        left -= max(0.0, self._env.now - since) * self._speed


@dataclass
class _Row:
    """A request in a server: the rounds that it still needs, and its size."""

    rounds: int
    size: float
    ended: simpy.Event


class _Server:
    """A process that works in rounds: a front end or an engine."""

    def __init__(
        self, env: simpy.Environment, cores: _Cores, cost: Rounds, priority: _Priority, most: int | None = None
    ) -> None:
        self._env, self._cores, self._cost, self._priority, self._most = env, cores, cost, priority, most
        self.rows: list[_Row] = []
        self._running: list[_Row] = []
        self.worked = 0.0
        self._arrival = env.event()
        env.process(self._run())

    def ask(self, rounds: int, size: float = 1.0) -> simpy.Event:
        """Join the next round; the event comes after the last one."""
        row = _Row(rounds, size, self._env.event())
        self.rows.append(row)
        if not self._arrival.triggered:
            self._arrival.succeed()
        return row.ended

    def _run(self) -> Process:
        while True:
            if not self.rows:
                self._arrival = self._env.event()
                yield self._arrival
            yield from self._cores.work(self._begin, self._priority)
            for row in self._running:
                row.rounds -= 1
                if not row.rounds:
                    row.ended.succeed()
            self.rows = [row for row in self.rows if row.rounds]

    def _begin(self) -> float:
        """Take what is there into a round; its processor seconds."""
        self._running = self.rows[: self._most]
        seconds = self._cost.seconds(sum(row.size for row in self._running))
        self.worked += seconds
        return seconds


class _Replica:
    """A front end with its engines."""

    def __init__(self, env: simpy.Environment, cores: _Cores, costs: Costs, engines: int) -> None:
        self.unanswered = 0
        self.front_end = _Server(env, cores, costs.front_end, _Priority.USUAL)
        self.engines = [_Server(env, cores, costs.engine, _Priority.ENGINE, MOST_ROWS) for _ in range(engines)]

    def answer(self, rounds: int, size: float) -> Process:
        self.unanswered += 1
        yield self.front_end.ask(1)
        yield min(self.engines, key=lambda engine: len(engine.rows)).ask(rounds, size)
        yield self.front_end.ask(_FRONT_END_ROUNDS - 1)
        self.unanswered -= 1


@dataclass
class _Run:
    """A simulation under way; requests that began before `first` are its warm-up."""

    env: simpy.Environment
    costs: Costs
    cluster: Cluster
    source: random.Random
    first: float
    latencies: list[float] = field(default_factory=list)
    arrived: int = 0
    ended: int = 0

    def __post_init__(self) -> None:
        shared = _Cores(self.env, self.cluster.cores) if self.cluster.shared else None
        self.proxy_cores = shared or _Cores(self.env, 1)
        self.proxy_worked = 0.0
        self.replicas = [
            _Replica(self.env, shared or _Cores(self.env, self.cluster.cores), self.costs, self.cluster.engines)
            for _ in range(self.cluster.replicas)
        ]
        self._turn = count()

    def request(self) -> Process:
        """One request from its arrival to its answer, at the replica with the fewest unanswered ones."""
        began = self.env.now
        self.arrived += began >= self.first
        yield from self.proxy_cores.work(lambda: self.costs.proxy, _Priority.USUAL)
        self.proxy_worked += self.costs.proxy
        turn = next(self._turn) % len(self.replicas)
        order = self.replicas[turn:] + self.replicas[:turn]
        rounds = max(1, round(self.costs.rounds * self.source.uniform(0.5, 1.5))) if self.costs.rounds > 1 else 1
        size = self.source.choice(self.costs.sizes)
        yield from min(order, key=lambda replica: replica.unanswered).answer(rounds, size)
        if self.env.now >= self.first:
            self.ended += 1
            if began >= self.first:
                self.latencies.append(self.env.now - began)

    def client(self) -> Process:
        """A closed loop."""
        while True:
            yield from self.request()

    def arrivals(self, rate: float) -> Process:
        """An open loop: a Poisson process."""
        while True:
            yield self.env.timeout(self.source.expovariate(rate))
            self.env.process(self.request())

    def worked(self) -> dict[str, float]:
        engines = [engine for replica in self.replicas for engine in replica.engines]
        return {
            "proxy": self.proxy_worked,
            "front end": sum(replica.front_end.worked for replica in self.replicas),
            "engine": sum(engine.worked for engine in engines),
        }

    def parts(self) -> dict[str, int]:
        replicas = self.cluster.replicas
        return {"proxy": 1, "front end": replicas, "engine": replicas * self.cluster.engines}


def closed_loop(costs: Costs, cluster: Cluster, clients: int, seconds: float) -> Simulated:
    """`clients` that each send their next request after the answer to the last."""
    return _simulated(costs, cluster, seconds, lambda run: (run.client() for _ in range(clients)))


def open_loop(costs: Costs, cluster: Cluster, rate: float, seconds: float) -> Simulated:
    """Requests that arrive at random, `rate` a second."""
    return _simulated(costs, cluster, seconds, lambda run: iter([run.arrivals(rate)]))


def _simulated(costs: Costs, cluster: Cluster, seconds: float, load: Any) -> Simulated:
    env = simpy.Environment()
    run = _Run(env, costs, cluster, random.Random(20), first=seconds / 4)
    processes: Iterator[Process] = load(run)
    for process in processes:
        env.process(process)
    env.run(until=run.first)
    before = run.worked()
    env.run(until=run.first + seconds)
    worked = {part: after - before[part] for part, after in run.worked().items()}
    busy = {part: worked[part] / seconds / number for part, number in run.parts().items()}
    latencies = tuple(sorted(run.latencies)) or (float("inf"),)
    return Simulated(
        run.ended / seconds, run.arrived / seconds, latencies, busy, sum(worked.values()) / max(run.ended, 1)
    )
