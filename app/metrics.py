"""Prometheus metrics of one front end, with what its engines report."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

ENGINE_COUNTERS = {
    "units": "Units of emitting run",
    "consumed": "Sources consumed",
    "consume_useful": "Cell steps of consuming that sources asked for",
    "consume_padded": "Cell steps of consuming run, padding included",
    "emit_steps": "Steps of emitting run, each over all running rows of a model",
    "emit_rows": "Cell steps of emitting run: rows summed over steps",
    "requests": "Requests that engines received",
    "cancelled": "Requests cancelled before they ended",
    "failed": "Requests that engines could not run",
}
ENGINE_GAUGES = {"waiting": "Requests waiting to be consumed", "running": "Requests that emit or are being consumed"}

PENDING = {
    "requests": "HTTP requests to the tasks let in and not answered",
    "inputs": "Inputs let in and not answered",
    "steps": "Cell steps, as far as they can be told before, of what was let in and is not answered",
}


class Metrics:
    """A registry of its own, so that several apps can live in one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "unroll_http_requests", "HTTP requests answered", ("route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "unroll_http_request_seconds",
            "Time to answer, in seconds",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._inputs = Counter("unroll_inputs", "Inputs answered", ("task",), registry=self._registry)
        self._source_tokens = Counter("unroll_source_tokens", "Tokens read", ("task",), registry=self._registry)
        self._emitted_tokens = Counter("unroll_emitted_tokens", "Tokens emitted", ("task",), registry=self._registry)
        self._refusals = Counter(
            "unroll_refusals", "Requests refused before any work was done on them", ("reason",), registry=self._registry
        )
        self._pending = {
            name: Gauge(f"unroll_pending_{name}", help_text, registry=self._registry)
            for name, help_text in PENDING.items()
        }
        self._http: dict[tuple[str, int], tuple[Counter, Histogram]] = {}  # children by label, costly to look up
        self._tasks: dict[str, TaskCounters] = {}

    def http(self, route: str, status: int, seconds: float) -> None:
        """An HTTP request was answered."""
        children = self._http.get((route, status))
        if children is None:
            children = self._requests.labels(route, str(status)), self._seconds.labels(route)
            self._http[route, status] = children
        requests, times = children
        requests.inc()
        times.observe(seconds)

    def task(self, name: str) -> "TaskCounters":
        """What is counted of a task."""
        if name not in self._tasks:
            counters = (self._inputs, self._source_tokens, self._emitted_tokens)
            self._tasks[name] = TaskCounters(*(counter.labels(name) for counter in counters))
        return self._tasks[name]

    def refused(self, reason: str) -> None:
        """A request was refused before it was run."""
        self._refusals.labels(reason).inc()

    def watch_pending(self, pending: Callable[[], dict[str, float]]) -> None:
        """Report what was let in and is not answered, by the names of `PENDING`, asked anew at each scrape."""
        for name, gauge in self._pending.items():
            gauge.set_function(partial(_of, pending, name))

    def watch(self, engines: "Callable[[], EngineFigures]") -> None:
        """Report what engines say, asked anew at each scrape."""
        self._registry.register(_EngineCollector(engines))

    def render(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return generate_latest(self._registry)


class TaskCounters(NamedTuple):
    """Of one task."""

    inputs: Counter
    source_tokens: Counter
    emitted_tokens: Counter


def _of(figures: Callable[[], dict[str, float]], name: str) -> float:
    return figures()[name]


class EngineFigures:
    """Sums over the engines: counters, gauges, engines ready, restarts."""

    def __init__(
        self, counters: dict[str, float], gauges: dict[str, float], *, ready: int, count: int, restarts: int
    ) -> None:
        self.counters = counters
        self.gauges = gauges
        self.ready = ready
        self.count = count
        self.restarts = restarts


class _EngineCollector(Collector):
    def __init__(self, engines: Callable[[], EngineFigures]) -> None:
        self._engines = engines

    def collect(self) -> Iterable[Metric]:
        figures = self._engines()
        for name, help_text in ENGINE_COUNTERS.items():
            yield CounterMetricFamily(f"unroll_engine_{name}", help_text, value=figures.counters.get(name, 0))
        for name, help_text in ENGINE_GAUGES.items():
            yield GaugeMetricFamily(f"unroll_engine_{name}", help_text, value=figures.gauges.get(name, 0))
        yield GaugeMetricFamily("unroll_engines_ready", "Engines that are ready", value=figures.ready)
        yield GaugeMetricFamily("unroll_engines", "Engines that there should be", value=figures.count)
        yield CounterMetricFamily("unroll_engine_restarts", "Engines started again", value=figures.restarts)
