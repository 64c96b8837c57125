"""Prometheus metrics of a service: what its front ends count, with what its engines report.

Several front ends share their counts through files (ADR 19), so that each of them answers for all.
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
_TELL_SECONDS = 0.25  # between two notes of gauges for the other front ends
PENDING = {
    "requests": "HTTP requests to the tasks let in and not answered",
    "inputs": "Inputs let in and not answered",
    "steps": "Cell steps, as far as they can be told before, of what was let in and is not answered",
}


@dataclass(frozen=True)
class Shared:
    """A folder of files, where the front end of a number keeps its counts, beside those of the others. One that is
    started again goes on where the one before it ended."""

    folder: Path
    index: int


class Metrics:
    """A registry of its own, so that several apps can live in one process. Those that are `shared` are chosen for the
    whole process, before anything is counted."""

    def __init__(self, shared: Shared | None = None) -> None:
        registry = self._registry = CollectorRegistry()
        self._told = registry
        if shared is not None:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(shared.folder)
            values.ValueClass = values.MultiProcessValue(lambda: shared.index)  # type: ignore[no-untyped-call]
            self._told = CollectorRegistry()
            MultiProcessCollector(self._told, str(shared.folder))  # type: ignore[no-untyped-call]
        self._is_shared = shared is not None
        self._requests = Counter(
            "unroll_http_requests", "HTTP requests answered", ("route", "status"), registry=registry
        )
        self._seconds = _histogram("unroll_http_request_seconds", "Time to answer, in seconds", "route", registry)
        self._inputs = Counter("unroll_inputs", "Inputs answered", ("task",), registry=registry)
        self._source_tokens = Counter("unroll_source_tokens", "Tokens read", ("task",), registry=registry)
        self._emitted_tokens = Counter("unroll_emitted_tokens", "Tokens emitted", ("task",), registry=registry)
        self._task_seconds = _histogram(
            "unroll_request_seconds", "Seconds from the head of a request to its whole answer", "task", registry
        )
        self._first_token_seconds = _histogram(
            "unroll_first_token_seconds",
            "Seconds from the head of a streamed request to its first token",
            "task",
            registry,
        )
        self._refusals = Counter(
            "unroll_refusals", "Requests refused before any work was done on them", ("reason",), registry=registry
        )
        for reason in get_args(Reason):  # at 0 from the start: of a series that begins at 1 no rate has the first
            self._refusals.labels(reason)
        self._gauges = {
            name: Gauge(f"unroll_pending_{name}", help_text, registry=registry, multiprocess_mode="livesum")
            for name, help_text in PENDING.items()
        }
        self._pending: Callable[[], dict[str, float]] = dict
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
        """A request was refused before it was run."""
        self._refusals.labels(reason).inc()

    def watch_pending(self, pending: Callable[[], dict[str, float]]) -> None:
        """Report what was let in and is not answered, by the names of `PENDING`, asked anew at each scrape."""
        self._pending = pending
        self._note_pending()

    async def tell_others(self) -> None:
        """Let the other front ends know what is pending here, until cancelled."""
        while self._is_shared:
            self._note_pending()
            await asyncio.sleep(_TELL_SECONDS)

    def watch(self, figures: Callable[[], ServiceFigures]) -> None:
        """Report what engines say, asked anew at each scrape. It is the same for all front ends, and told by one."""
        self._told.register(EngineCollector(figures))

    def render(self) -> bytes:
        """The text format that Prometheus scrapes."""
        self._note_pending()
        return generate_latest(self._told)

    def _note_pending(self) -> None:
        for name, value in self._pending().items():
            self._gauges[name].set(value)


class TaskCounters(NamedTuple):
    """Of one task."""

    name: str
    inputs: Counter
    source_tokens: Counter
    emitted_tokens: Counter
    seconds: Histogram
    first_token_seconds: Histogram


def _histogram(name: str, help_text: str, label: str, registry: CollectorRegistry) -> Histogram:
    return Histogram(name, help_text, (label,), buckets=_SECONDS, registry=registry)
