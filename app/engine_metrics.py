"""Prometheus metrics of the engines and their versions, from the last status of each engine."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from app.engine.figures import LOAD_SECONDS, SECONDS, TOKEN_SECONDS, Histogram
from app.engine.protocol import Status


class Named(NamedTuple):
    """The public name of a metric after `unroll_engine_`, the engine's own name, and the help text."""

    name: str
    member: str
    help: str


COUNTERS = (
    Named("units", "units", "Units of decoding run"),
    Named("consumed", "encoded", "Sources encoded"),
    Named("consume_useful", "encode_useful", "Cell steps of encoding that belong to a source"),
    Named("consume_padded", "encode_padded", "Cell steps of encoding run, padding included"),
    Named("emit_steps", "decode_steps", "Steps of decoding run, each over all running rows of a model"),
    Named("emit_rows", "decode_rows", "Cell steps of decoding run: rows summed over steps"),
    Named("requests", "requests", "Requests that engines received"),
    Named("cancelled", "cancelled", "Requests cancelled before they ended"),
    Named("failed", "failed", "Requests that engines could not run"),
    Named("expired", "expired", "Requests whose deadline passed before they ended"),
    Named("loads", "loads", "Versions loaded"),
    Named("load_failures", "load_failures", "Versions that could not be loaded"),
    Named("evictions", "evictions", "Versions that left the memory of the models for others"),
    Named("restarts", "restarts", "Restarts of engines"),
)
GAUGES = (
    Named("waiting", "waiting", "Requests waiting to be encoded"),
    Named("running", "running", "Requests being encoded or decoded"),
)
_MODEL_LABELS = ("engine", "model", "version")
_MODEL_HISTOGRAMS = {
    Named("queue_seconds", "queue", "Seconds from a request's arrival at its engine to its first run"): SECONDS,
    Named("first_token_seconds", "first_token", "Seconds from a request's arrival to its first token"): SECONDS,
    Named("token_seconds", "token", "Mean seconds per decoded token of a request"): TOKEN_SECONDS,
}
_MODEL_COUNTERS = (
    Named("source_tokens", "source_tokens", "Tokens of sources, by version"),
    Named("emitted_tokens", "decoded_tokens", "Tokens decoded, by version"),
)
_MODEL_GAUGES = (
    Named("slots", "slots", "Rows that a version can decode at the same time"),
    Named("slots_used", "rows", "Rows that a version decodes now"),
)


@dataclass(frozen=True)
class ServiceFigures:
    """The last status of each ready engine by its place, the expected number of engines, the number type of each loaded
    version, and the number of broken versions."""

    engines: Mapping[int, Status]
    count: int
    precisions: Mapping[str, str]
    broken: int


class EngineCollector(Collector):
    """Metrics with the engine as a label: the counters of one engine fall to 0 when it restarts, those of others do
    not."""

    def __init__(self, figures: Callable[[], ServiceFigures]) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        figures = self._figures()
        engines = {str(place): status for place, status in figures.engines.items()}
        for name, member, help_text in COUNTERS:
            counter = CounterMetricFamily(f"unroll_engine_{name}", help_text, labels=("engine",))
            for place, status in engines.items():
                counter.add_metric((place,), status.counters.get(member, 0))
            yield counter
        for name, member, help_text in GAUGES:
            gauge = GaugeMetricFamily(f"unroll_engine_{name}", help_text, labels=("engine",))
            for place, status in engines.items():
                gauge.add_metric((place,), status.gauges.get(member, 0))
            yield gauge
        yield from _memory(engines)
        yield GaugeMetricFamily("unroll_engines_ready", "Engines that are ready", value=len(engines))
        yield GaugeMetricFamily("unroll_engines", "Engines that the service keeps running", value=figures.count)
        yield _loads(engines)
        yield from _of_models(engines)
        yield from _versions(figures)


def _memory(engines: Mapping[str, Status]) -> Iterable[Metric]:
    for name, help_text, value in (
        ("models", "Versions that are loaded", lambda status: len(status.precisions)),
        ("models_bytes", "Memory of the loaded versions", lambda status: status.models_bytes),
        ("models_memory_bytes", "Memory that loaded versions may take", lambda status: status.models_memory),
    ):
        gauge = GaugeMetricFamily(f"unroll_engine_{name}", help_text, labels=("engine",))
        for place, status in engines.items():
            gauge.add_metric((place,), value(status))
        yield gauge


def _loads(engines: Mapping[str, Status]) -> Metric:
    loads = HistogramMetricFamily(
        "unroll_engine_load_seconds", "Seconds from the request to load a version until it is warm", labels=("engine",)
    )
    for place, status in engines.items():
        if status.load_seconds is not None:
            loads.add_metric((place,), *_buckets(status.load_seconds, LOAD_SECONDS))
    return loads


def _of_models(engines: Mapping[str, Status]) -> Iterable[Metric]:
    of_models = [
        ((place, *_split(key)), figures) for place, status in engines.items() for key, figures in status.figures.items()
    ]
    for (name, member, help_text), bounds in _MODEL_HISTOGRAMS.items():
        histogram = HistogramMetricFamily(f"unroll_engine_{name}", help_text, labels=_MODEL_LABELS)
        for labels, figures in of_models:
            histogram.add_metric(labels, *_buckets(getattr(figures, member), bounds))
        yield histogram
    for name, member, help_text in _MODEL_COUNTERS:
        counter = CounterMetricFamily(f"unroll_engine_{name}", help_text, labels=_MODEL_LABELS)
        for labels, figures in of_models:
            counter.add_metric(labels, getattr(figures, member))
        yield counter
    for name, member, help_text in _MODEL_GAUGES:
        gauge = GaugeMetricFamily(f"unroll_engine_{name}", help_text, labels=_MODEL_LABELS)
        for labels, figures in of_models:
            gauge.add_metric(labels, getattr(figures, member))
        yield gauge


def _versions(figures: ServiceFigures) -> Iterable[Metric]:
    info = GaugeMetricFamily("unroll_model_info", "1 for each loaded version", labels=("model", "version", "precision"))
    for key, precision in figures.precisions.items():
        info.add_metric((*_split(key), precision), 1)
    yield info
    yield GaugeMetricFamily("unroll_models_broken", "Broken versions in the store", value=figures.broken)


def _split(key: str) -> tuple[str, str]:
    name, _, version = key.rpartition("/")
    return name, version


def _buckets(histogram: Histogram, bounds: Sequence[float]) -> tuple[list[tuple[str, float]], float]:
    """Cumulative counts, as Prometheus has them, and the sum."""
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*bounds, float("inf")), histogram.counts, strict=True):
        total += count
        buckets.append((str(bound).replace("inf", "+Inf"), total))
    return buckets, histogram.sum
