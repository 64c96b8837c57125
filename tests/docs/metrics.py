"""Real metrics, each with at least one sample."""

from app.engine.figures import LOAD_SECONDS, SECONDS, TOKEN_SECONDS, Histogram, ModelFigures
from app.engine.protocol import Status
from app.engine_metrics import ServiceFigures
from app.metrics import Metrics


def sampled_metrics() -> Metrics:
    """Metrics of a front end and an engine in which every name and every label occurs."""
    metrics = Metrics()
    metrics.http("/v1/sentiment", 200, 0.1)
    metrics.task("sentiment").inputs.inc()
    metrics.refused("overloaded")
    histograms = (Histogram.empty(SECONDS), Histogram.empty(SECONDS), Histogram.empty(TOKEN_SECONDS))
    figures, loads = {"m/1": ModelFigures(*histograms)}, Histogram.empty(LOAD_SECONDS)
    status = Status("a", ["m/1"], {}, {}, {}, {"m/1": "float32"}, figures, loads)
    metrics.watch(lambda: ServiceFigures({0: status}, 1, status.precisions, 0))
    return metrics
