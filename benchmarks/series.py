"""Series for benchmarks: random rows, and a classifier of series, of which the included models are none."""

import random
from pathlib import Path

import numpy as np
import torch

from app.models.networks import build_network
from app.store.classifier import Classifier
from app.store.encoders import SeriesEncoder
from app.store.manifest import Manifest
from app.store.recurrence import Recurrence
from app.store.scaling import Standard
from app.store.series_input import Feature, SeriesInput
from app.tasks.scaling import Rows, unscaled
from training.cards import CardText
from training.publish import publish

_KEPT = 0.8  # of a step in the next one
_SENSORS = ("ax", "ay", "az", "gx", "gy", "gz")  # accelerations and rates of turning, as of a telephone
_LABELS = ("lying", "sitting", "standing", "walking", "upstairs", "downstairs")


def random_rows(series: SeriesInput, steps: int, source: random.Random) -> Rows:
    """Rows in the units of the data, each near the one before it; with two decimals, as measured numbers have few."""
    noise = np.random.default_rng(source.getrandbits(32)).standard_normal((steps, len(series.features)))
    rows = noise.copy()
    for step in range(1, steps):
        rows[step] = _KEPT * rows[step - 1] + (1 - _KEPT**2) ** 0.5 * noise[step]
    rows = unscaled(rows.astype(np.float32), series.features).round(2)
    floor = [0 if feature.log1p else -np.inf for feature in series.features]  # an amount, such as rain
    return np.maximum(rows, floor)


def publish_classifier(store: Path) -> Manifest:
    """Two layers of LSTM-128 over six sensors, with fixed random weights: as people recognise movements."""
    features = tuple(Feature(name=name, scaling=Standard(mean=0, std=1)) for name in _SENSORS)
    recurrence = Recurrence(cell="lstm", input_size=len(features), hidden_size=128, layers=2)
    encoder = SeriesEncoder(features=len(features), recurrence=recurrence)
    draft = Manifest(
        name="classify-random",
        version=1,
        task="classification",
        description="A classifier of series of any length, for benchmarks: not trained.",
        default=True,
        architecture=Classifier(encoder=encoder, pooling=("last",), labels=len(_LABELS)),
        series=SeriesInput(features=features, interval="1/20 s"),
        labels=_LABELS,
        parameters=1,
        files={},
        licence="Apache-2.0",
    )
    torch.manual_seed(0)
    network = build_network(draft.architecture, mean=[], std=[])
    card = CardText("Random weights.", "Its answers mean nothing.", "Apache-2.0.")
    publish(network, None, store, draft, card)
    return draft
