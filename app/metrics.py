"""Prometheus metrics of one front end, with what its engines report."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
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


class Metrics:
    """A registry of its own, so that several apps can live in one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "unroll_http_requests", "HTTP requests answered", ("route", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "unroll_http_request_seconds",
            "Time to answer, in seconds",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.inputs = Counter("unroll_inputs", "Inputs answered", ("task",), registry=self._registry)
        self.source_tokens = Counter("unroll_source_tokens", "Tokens read", ("task",), registry=self._registry)
        self.emitted_tokens = Counter("unroll_emitted_tokens", "Tokens emitted", ("task",), registry=self._registry)
        self.refusals = Counter(
            "unroll_refusals", "Requests refused before any work was done on them", ("reason",), registry=self._registry
        )

    def watch(self, engines: "Callable[[], EngineFigures]") -> None:
        """Report what engines say, asked anew at each scrape."""
        self._registry.register(_EngineCollector(engines))

    def render(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return generate_latest(self._registry)


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
