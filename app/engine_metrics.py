"""Prometheus metrics of the engines and of what they have loaded, as their last statuses say."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from app.engine.protocol import LOAD_SECONDS, SECONDS, TOKEN_SECONDS, Spread, Status

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
    "expired": "Requests whose deadline passed before they ended",
    "loads": "Versions loaded",
    "load_failures": "Versions that could not be loaded",
    "restarts": "Engines started again",
}
ENGINE_GAUGES = {"waiting": "Requests waiting to be consumed", "running": "Requests that emit or are being consumed"}
_BY_MODEL = ("engine", "model", "version")
_SPREADS = {
    "queue": ("Seconds from a request's arrival at its engine to its first run", SECONDS),
    "first_token": ("Seconds from a request's arrival at its engine to its first token", SECONDS),
    "token": ("Seconds of emitting for each token of a request, a mean over its tokens", TOKEN_SECONDS),
}


@dataclass(frozen=True)
class ServiceFigures:
    """What is known of the engines: the last status of each that is ready by its number, how many there should be, the
    number type of each version that is loaded, and how many cannot be used."""

    engines: Mapping[int, Status]
    count: int
    precisions: Mapping[str, str]
    broken: int


class EngineCollector(Collector):
    """An engine is a label, so that one that begins anew is not taken for all of them."""

    def __init__(self, figures: Callable[[], ServiceFigures]) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        figures = self._figures()
        engines = {str(place): status for place, status in figures.engines.items()}
        for name, help_text in ENGINE_COUNTERS.items():
            counter = CounterMetricFamily(f"unroll_engine_{name}", help_text, labels=("engine",))
            for place, status in engines.items():
                counter.add_metric((place,), status.counters.get(name, 0))
            yield counter
        for name, help_text in ENGINE_GAUGES.items():
            gauge = GaugeMetricFamily(f"unroll_engine_{name}", help_text, labels=("engine",))
            for place, status in engines.items():
                gauge.add_metric((place,), status.gauges.get(name, 0))
            yield gauge
        yield GaugeMetricFamily("unroll_engines_ready", "Engines that are ready", value=len(engines))
        yield GaugeMetricFamily("unroll_engines", "Engines that there should be", value=figures.count)
        yield _loads(engines)
        yield from _of_models(engines)
        yield from _versions(figures)


def _loads(engines: Mapping[str, Status]) -> Metric:
    loads = HistogramMetricFamily(
        "unroll_engine_load_seconds", "Seconds from when a version was asked for until it was warm", labels=("engine",)
    )
    for place, status in engines.items():
        if status.load_seconds is not None:
            loads.add_metric((place,), *_buckets(status.load_seconds, LOAD_SECONDS))
    return loads


def _of_models(engines: Mapping[str, Status]) -> Iterable[Metric]:
    found = [
        ((place, *_named(key)), figures) for place, status in engines.items() for key, figures in status.figures.items()
    ]
    for name, (help_text, bounds) in _SPREADS.items():
        histogram = HistogramMetricFamily(f"unroll_engine_{name}_seconds", help_text, labels=_BY_MODEL)
        for labels, figures in found:
            histogram.add_metric(labels, *_buckets(getattr(figures, name), bounds))
        yield histogram
    for name, help_text in {
        "source_tokens": "Tokens read, by version",
        "emitted_tokens": "Tokens emitted, by version",
    }.items():
        counter = CounterMetricFamily(f"unroll_engine_{name}", help_text, labels=_BY_MODEL)
        for labels, figures in found:
            counter.add_metric(labels, getattr(figures, name))
        yield counter
    for name, member, help_text in (
        ("slots", "slots", "Rows that a version may emit at the same time"),
        ("slots_used", "rows", "Rows that a version emits"),
    ):
        gauge = GaugeMetricFamily(f"unroll_engine_{name}", help_text, labels=_BY_MODEL)
        for labels, figures in found:
            gauge.add_metric(labels, getattr(figures, member))
        yield gauge


def _versions(figures: ServiceFigures) -> Iterable[Metric]:
    info = GaugeMetricFamily(
        "unroll_model_info", "1 for each version that is loaded", labels=("model", "version", "precision")
    )
    for key, precision in figures.precisions.items():
        info.add_metric((*_named(key), precision), 1)
    yield info
    yield GaugeMetricFamily("unroll_models_broken", "Versions in the store that cannot be used", value=figures.broken)


def _named(key: str) -> tuple[str, str]:
    name, _, version = key.rpartition("/")
    return name, version


def _buckets(spread: Spread, bounds: Sequence[float]) -> tuple[list[tuple[str, float]], float]:
    """Cumulative, as Prometheus wants them, and the sum."""
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*bounds, float("inf")), spread.counts, strict=True):
        total += count
        buckets.append((str(bound).replace("inf", "+Inf"), total))
    return buckets, spread.sum
