"""Tiny untrained models of series, frames and tags, one of each kind: real files, random weights.

`make_number_store` publishes them all. Names begin with what a model does: forecast, classify, tag.
"""

from pathlib import Path
from typing import Any

from app.store.architecture import Architecture
from app.store.block import Block
from app.store.classifier import Classifier
from app.store.decoding import TokenLimits
from app.store.encoders import FramesEncoder, SeriesEncoder, TextEncoder
from app.store.forecaster import Forecaster, ValueDecoder
from app.store.image_encoder import ImageEncoder, ResNet
from app.store.image_input import ImageInput
from app.store.layer import Layer
from app.store.manifest import Manifest
from app.store.recurrence import Recurrence
from app.store.scaling import MinMax, Standard
from app.store.series_input import Feature, SeriesInput
from app.store.tagger import Tagger
from app.store.text_input import TokenizerUse
from tests.tiny_store import VOCABULARY, publish_tiny, tiny_tokenizer

WINDOW = 6
FRAME_SIZE = 32
_SPREAD = 1.5  # of weights: wider ones would amplify rounding from step to step, as no trained network does
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
GESTURES = ("left", "right", "up")
RAIN = Feature(name="rain", log1p=True, scaling=Standard(mean=0.4, std=0.7))
WARMTH = Feature(name="temperature", scaling=MinMax(minimum=-10, maximum=40))
WIND = Feature(name="wind")
_RESNET = ResNet(block="basic", blocks=(1, 1, 1, 1), stem_width=4, widths=(4, 6, 8, 10))


def draft(name: str, task: str, architecture: Architecture, **members: Any) -> Manifest:
    """The manifest of a tiny model, before its files are written."""
    return Manifest(
        name=name,
        version=1,
        task=task,
        description="Tiny and untrained.",
        architecture=architecture,
        parameters=1,
        files={},
        licence="Apache-2.0",
        **members,
    )


def _forecast_tiny() -> Manifest:
    """A ResNet over time and an LSTM: three days of two targets from a window of three features."""
    encoder = SeriesEncoder(
        features=3,
        front=(Block(kind="residual", width=5, kernels=(3, 3)), Block(kind="residual", width=5, kernels=(3, 3))),
        recurrence=Recurrence(cell="lstm", input_size=5, hidden_size=8),
    )
    series = SeriesInput(features=(RAIN, WARMTH, WIND), targets=(WARMTH, RAIN), window=WINDOW, interval="1 day")
    architecture = Forecaster(encoder=encoder, head=(Layer(size=7),), targets=2, horizon=3)
    return draft("forecast-tiny", "forecasting", architecture, series=series, default=True)


def _forecast_state() -> Manifest:
    """Any length; a forecast row is the next input of the recurrence."""
    encoder = SeriesEncoder(features=2, recurrence=Recurrence(cell="lstm", input_size=2, hidden_size=8, layers=2))
    series = SeriesInput(features=(WARMTH, WIND), targets=(WARMTH, WIND), missing="previous")
    architecture = Forecaster(encoder=encoder, targets=2, feedback="state")
    return draft("forecast-state", "forecasting", architecture, series=series)


def _forecast_window() -> Manifest:
    """One feature; the window moves over each forecast row and is read anew."""
    encoder = SeriesEncoder(features=1, recurrence=Recurrence(cell="gru", input_size=1, hidden_size=8, directions=2))
    series = SeriesInput(features=(WARMTH,), targets=(WARMTH,), window=WINDOW, pad="left")
    architecture = Forecaster(encoder=encoder, pooling=("last", "mean"), targets=1, feedback="window")
    return draft("forecast-window", "forecasting", architecture, series=series)


def _forecast_decoder() -> Manifest:
    """An encoder and a decoder over numbers; the target is the second feature."""
    encoder = SeriesEncoder(features=3, recurrence=Recurrence(cell="gru", input_size=3, hidden_size=8, layers=2))
    decoder = ValueDecoder(cell="gru", hidden_size=8, layers=2)
    series = SeriesInput(features=(RAIN, WARMTH, WIND), targets=(WARMTH,))
    architecture = Forecaster(encoder=encoder, targets=1, horizon=4, decoder=decoder)
    return draft("forecast-decoder", "forecasting", architecture, series=series)


def _classify_series() -> Manifest:
    """LSTM-FCN in one direction, over two features of any length."""
    encoder = SeriesEncoder(
        features=2,
        recurrence=Recurrence(cell="lstm", input_size=2, hidden_size=8),
        branch=(Block(kind="plain", width=6, kernels=(5,)), Block(kind="plain", width=4, kernels=(3,))),
    )
    series = SeriesInput(features=(WARMTH, WIND))
    return draft(
        "classify-series",
        "classification",
        Classifier(encoder=encoder, pooling=("last",), labels=3),
        series=series,
        labels=GESTURES,
        default=True,
    )


def _classify_frames() -> Manifest:
    """A ResNet on each frame, and an LSTM over six frames."""
    encoder = FramesEncoder(
        image=ImageEncoder(resnet=_RESNET, image_size=FRAME_SIZE, output="pooled"),
        recurrence=Recurrence(cell="lstm", input_size=10, hidden_size=8),
    )
    return draft(
        "classify-frames",
        "classification",
        Classifier(encoder=encoder, pooling=("last", "max"), labels=3),
        image=ImageInput(size=FRAME_SIZE, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)),
        frames=6,
        labels=GESTURES,
        default=True,
    )


def _tagger(name: str, *, crf: bool, default: bool) -> Manifest:
    recurrence = Recurrence(cell="lstm", input_size=12, hidden_size=10, directions=2)
    encoder = TextEncoder(vocabulary_size=VOCABULARY, recurrence=recurrence)
    return draft(
        name,
        "tagging",
        Tagger(encoder=encoder, labels=len(TAGS), crf=crf),
        tokenizer=TokenizerUse(),
        labels=TAGS,
        source_language="en",
        limits=TokenLimits(source_tokens=2000),
        default=default,
    )


def number_drafts() -> list[Manifest]:
    """Manifests of the eight models, before they are published."""
    return [
        _forecast_tiny(),
        _forecast_state(),
        _forecast_window(),
        _forecast_decoder(),
        _classify_series(),
        _classify_frames(),
        _tagger("tag-tiny", crf=False, default=True),
        _tagger("tag-crf", crf=True, default=False),
    ]


def publish_numbers(store: Path, folder: Path) -> None:
    """Publish the eight models in a store. `folder` gets the tokenizer of those that read texts."""
    tokenizer = tiny_tokenizer(folder)
    for draft in number_drafts():
        publish_tiny(draft, store, tokenizer, spread=_SPREAD)


def make_number_store(folder: Path) -> Path:
    """A store in `folder` with the eight models."""
    publish_numbers(folder / "store", folder)
    return folder / "store"
