"""Prometheus metrics: counts of the front ends, and figures that the engines report.

Several front ends share their counts through files (ADR 19), so each of them reports the whole service.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

from app.engine_metrics import EngineCollector, ServiceFigures

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Reason = Literal["overloaded", "not-ready", "wrong-key", "not-allowed", "rate-limited", "concurrency"]  # of a refusal
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_SHARE_SECONDS = 0.25  # between two writes of gauges to the shared files
PENDING = {
    "requests": "Admitted, unanswered HTTP requests to the tasks",
    "inputs": "Admitted, unanswered inputs",
    "steps": "Estimated cell steps of admitted, unanswered requests",
}


@dataclass(frozen=True)
class SharedFiles:
    """The folder with the count files of all front ends, and the index of this one. A restarted front end continues
    the counts of its index."""

    folder: Path
    index: int


class Metrics:
    """The metrics of one app, in a registry of its own, so several apps can live in one process. `shared` takes effect
    for the whole process and must be set before anything is counted."""

    def __init__(self, shared: SharedFiles | None = None) -> None:
        registry = self._exposed = CollectorRegistry()
        if shared is not None:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(shared.folder)
            values.ValueClass = values.MultiProcessValue(lambda: shared.index)  # type: ignore[no-untyped-call]
            self._exposed = CollectorRegistry()
            MultiProcessCollector(self._exposed, str(shared.folder))  # type: ignore[no-untyped-call]
        self._is_shared = shared is not None
        self._requests = Counter(
            "unroll_http_requests", "HTTP requests answered", ("route", "status"), registry=registry
        )
        self._seconds = _histogram("unroll_http_request_seconds", "Time to answer, in seconds", "route", registry)
        self._inputs = Counter("unroll_inputs", "Inputs answered", ("task",), registry=registry)
        self._source_tokens = Counter("unroll_source_tokens", "Source tokens encoded", ("task",), registry=registry)
        self._emitted_tokens = Counter("unroll_emitted_tokens", "Tokens decoded", ("task",), registry=registry)
        self._task_seconds = _histogram(
            "unroll_request_seconds", "Seconds from a request's headers to its complete answer", "task", registry
        )
        self._first_token_seconds = _histogram(
            "unroll_first_token_seconds",
            "Seconds from a streamed request's headers to its first token",
            "task",
            registry,
        )
        self._refusals = Counter(
            "unroll_refusals", "Requests refused at admission or by access control", ("reason",), registry=registry
        )
        for reason in get_args(Reason):  # every series starts at 0: `rate` misses the first count of a new series
            self._refusals.labels(reason)
        self._gauges = {
            name: Gauge(f"unroll_pending_{name}", help_text, registry=registry, multiprocess_mode="livesum")
            for name, help_text in PENDING.items()
        }
        self._pending: Callable[[], dict[str, float]] = dict
        self._http: dict[tuple[str, int], tuple[Counter, Histogram]] = {}  # a cache: `labels` is slow
        self._tasks: dict[str, TaskCounters] = {}

    def http(self, route: str, status: int, seconds: float) -> None:
        """Count an answered HTTP request."""
        children = self._http.get((route, status))
        if children is None:
            children = self._requests.labels(route, str(status)), self._seconds.labels(route)
            self._http[route, status] = children
        requests, times = children
        requests.inc()
        times.observe(seconds)

    def task(self, name: str) -> "TaskCounters":
        """The metrics of one task."""
        if name not in self._tasks:
            self._tasks[name] = TaskCounters(
                name,
                self._inputs.labels(name),
                self._source_tokens.labels(name),
                self._emitted_tokens.labels(name),
                self._task_seconds.labels(name),
                self._first_token_seconds.labels(name),
            )
        return self._tasks[name]

    def refused(self, reason: Reason) -> None:
        """Count a refused request."""
        self._refusals.labels(reason).inc()

    def watch_pending(self, pending: Callable[[], dict[str, float]]) -> None:
        """Report the gauges of `PENDING`: `pending` is called at each scrape and returns their values by name."""
        self._pending = pending
        self._set_pending()

    async def share_pending(self) -> None:
        """Write the pending gauges to the shared files at a fixed interval, until cancelled."""
        while self._is_shared:
            self._set_pending()
            await asyncio.sleep(_SHARE_SECONDS)

    def watch(self, figures: Callable[[], ServiceFigures]) -> None:
        """Report the figures of the engines: `figures` is called at each scrape. The front end that answers the scrape
        reports them alone, since all front ends know the same figures."""
        self._exposed.register(EngineCollector(figures))

    def render(self) -> bytes:
        """The text format that Prometheus scrapes."""
        self._set_pending()
        return generate_latest(self._exposed)

    def _set_pending(self) -> None:
        for name, value in self._pending().items():
            self._gauges[name].set(value)


class TaskCounters(NamedTuple):
    """The metrics of one task, with its labels looked up once."""

    name: str
    inputs: Counter
    source_tokens: Counter
    emitted_tokens: Counter
    seconds: Histogram
    first_token_seconds: Histogram


def _histogram(name: str, help_text: str, label: str, registry: CollectorRegistry) -> Histogram:
    return Histogram(name, help_text, (label,), buckets=_SECONDS, registry=registry)
