"""Kinds of networks that carry their state: cut anywhere, a source has the bits of the whole; the others refuse."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from app.engine.carrying import why_not_carried
from app.engine.cost import cost_of
from app.engine.encode import encode
from app.engine.loaded_model import LoadedModel
from app.engine.models import Models
from app.engine.protocol import AnswerSpec, Carried, Carry, Forecast, Label, Series, Source, Table, Tokens
from app.engine.request import Chunk, Request
from app.models.networks import build_network
from app.store.architecture import Architecture
from app.store.classifier import Classifier
from app.store.decoding import Decoding
from app.store.encoder_part import Pooling
from app.store.encoders import SeriesEncoder, TextEncoder
from app.store.forecaster import Forecaster, ValueDecoder
from app.store.layer import Layer
from app.store.manifest import Manifest
from app.store.pooled import AttentionPooling
from app.store.recurrence import CellSettings, Recurrence
from app.store.series_input import Feature, SeriesInput
from app.store.stages import Affine, LayerNorm, LinearStage, RecurrenceStage, Stage
from app.store.text_input import TokenizerUse
from app.store.window_language_model import WindowLanguageModel
from app.store.windowed_stages import Convolution
from tests.tiny_numbers import draft

LENGTH, FEATURES, VOCABULARY = 53, 3, 50
WIDTH = 160  # the products of narrow layers have the same bits with any kernel
NAMES = tuple(Feature(name=name) for name in ("rain", "temperature", "wind"))
LSTM = Recurrence(cell="lstm", input_size=WIDTH, hidden_size=WIDTH, layers=2)
POINTWISE: tuple[Stage, ...] = (LinearStage(size=WIDTH, activation="gelu"), LayerNorm(), Affine(activation="tanh"))


def _text(recurrence: Recurrence = LSTM, **members: Any) -> TextEncoder:
    return TextEncoder(vocabulary_size=VOCABULARY, embedding_size=WIDTH, recurrence=recurrence, **members)


def _series(recurrence: Recurrence | None = None, **members: Any) -> SeriesEncoder:
    alone = LSTM.model_copy(update={"input_size": FEATURES})
    return SeriesEncoder(features=FEATURES, recurrence=recurrence or alone, **members)


def _classifier(
    pooling: Sequence[Pooling], encoder: TextEncoder | SeriesEncoder | None = None, **members: Any
) -> Classifier:
    return Classifier(encoder=encoder or _text(), pooling=tuple(pooling), labels=3, **members)


def _cell(**settings: Any) -> Recurrence:
    cell = CellSettings(**settings)
    return Recurrence(**cell.settings, input_size=WIDTH, hidden_size=WIDTH)


CARRIED: dict[str, Architecture] = {
    "last cell": _classifier(["last_cell"]),
    "all that is kept": _classifier(["last", "last_cell", "last_output", "max", "mean", "sum"]),
    "norm of what a head reads": _classifier(
        ["last_cell", "mean"], norm=LayerNorm(), head=(Layer(size=40, batch_norm="before"),)
    ),
    "stages": _classifier(
        ["last", "last_output", "max", "mean"], _text(front=POINTWISE, back=(*POINTWISE, LinearStage(size=32)))
    ),
    "stages of a series": _classifier(["last_output", "mean"], _series(LSTM, front=POINTWISE, back=POINTWISE)),
    "inputs kept before": _classifier(["last_output", "max", "mean"], _text(keeps_input="before")),
    "inputs kept after": _classifier(["mean", "sum"], _text(keeps_input="after", back=POINTWISE)),
    "independent labels": _classifier(["max"], outputs="sigmoid"),
    "hard gates": _classifier(
        ["last_cell"], _text(_cell(cell="lstm", activation="softsign", recurrent_activation="hard_sigmoid_5"))
    ),
    "reset before": _classifier(["last", "mean"], _text(_cell(cell="gru", reset_after=False))),
    "rnn with relu": _classifier(["last", "sum"], _text(_cell(cell="rnn_tanh", activation="leaky_relu", slope=0.2))),
    "forecast": Forecaster(
        encoder=_series(), pooling=("last", "last_cell"), targets=2, horizon=4, norm=LayerNorm(), head=(Layer(size=20),)
    ),
    "decoder of the summary": Forecaster(
        encoder=_series(), targets=2, horizon=4, decoder=ValueDecoder(cell="gru", hidden_size=24, reads="summary")
    ),
    "decoder that continues": Forecaster(
        encoder=_series(),
        pooling=("last", "mean"),
        targets=2,
        horizon=4,
        decoder=ValueDecoder(cell="lstm", hidden_size=WIDTH, layers=2, reads="summary", continues=True),
        head=(Layer(size=20),),
    ),
}
BOTH_WAYS = LSTM.model_copy(update={"directions": 2})
REFUSED: dict[str, tuple[Architecture, str]] = {
    "masks": (_classifier(["last"], _text(mask_id=0)), "masked"),
    "masks of a series": (_classifier(["last"], _series(mask_value=0.0)), "masked"),
    "convolution before": (
        _classifier(["last"], _text(front=(Convolution(width=WIDTH, kernel=3, padding="causal"),))),
        "as a whole",
    ),
    "recurrence before": (_classifier(["last"], _text(front=(RecurrenceStage(recurrence=LSTM),))), "as a whole"),
    "recurrence behind": (_classifier(["last"], _text(back=(RecurrenceStage(recurrence=LSTM),))), "as a whole"),
    "from the end": (_classifier(["last"], _text(LSTM.model_copy(update={"reverse": True}))), "as a whole"),
    "both ways": (_classifier(["last_cell"], _text(BOTH_WAYS)), "both directions"),
    "attention": (
        _classifier(["attention"], attention=AttentionPooling(kind="linear", activation="tanh")),
        "all outputs",
    ),
    "flatten": (_classifier(["flatten"], _series(), window=9), "all outputs"),
    "row by row": (Forecaster(encoder=_series(), targets=2, horizon=4, per_step=True), "all outputs"),
    "window language model": (
        WindowLanguageModel(encoder=_text(), pooling=("last",), window=5, norm=LayerNorm()),
        "last 5 tokens anew",
    ),
}


def _manifest(architecture: Architecture) -> Manifest:
    members: dict[str, Any] = {}
    if isinstance(architecture, Classifier):
        members["labels"] = ("left", "right", "up")
    if architecture.encoder.kind == "series":
        targets = NAMES[: architecture.targets] if isinstance(architecture, Forecaster) else ()
        window = architecture.window if isinstance(architecture, Classifier) else None
        members["series"] = SeriesInput(features=NAMES, targets=targets, window=window)
    else:
        members |= {"tokenizer": TokenizerUse(), "source_language": "en"}
    if isinstance(architecture, WindowLanguageModel):
        members["decoding"] = Decoding(bos=1, eos=2, max_tokens=9)
    task = {"classifier": "classification", "forecaster": "forecasting"}.get(architecture.kind, "completion")
    return draft("carried", task, architecture, **members)


def _loaded(architecture: Architecture) -> LoadedModel:
    torch.manual_seed(5)
    network = build_network(architecture, mean=[], std=[])
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "norm" in name or ".front." in name:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    manifest = _manifest(architecture)
    models = Models(torch.device("cpu"), slots=2, precision="float32")
    models.add(manifest, network)
    return models[manifest.key]


def _source(model: LoadedModel, draw: random.Random) -> Source:
    if model.manifest.series is None:
        return Tokens([draw.randrange(VOCABULARY) for _ in range(LENGTH)])
    rows = [[draw.gauss(0, 1) for _ in range(FEATURES)] for _ in range(LENGTH)]
    return Series(Table(FEATURES, np.asarray(rows, np.float32).tobytes()))


def _from(source: Source, first: int) -> Source:
    if isinstance(source, Series):
        return Series(source.rows.rows(first))
    assert isinstance(source, Tokens)
    return Tokens(source.ids[first:])


def _read(model: LoadedModel, source: Source, cuts: list[int], carry: Carry) -> tuple[Any, Carried | None]:
    answer: AnswerSpec = Forecast(4) if isinstance(model.manifest.architecture, Forecaster) else Label()
    cost = cost_of(source, answer, model.manifest.architecture)
    request = Request((b"", 1), model.key, source, answer, cost, carry=carry)
    outputs = []
    for first, last in zip([0, *cuts], [*cuts, cost.encode], strict=True):
        outputs += encode(model, [Chunk(request, first, last - first)])
    ((_, event),) = outputs
    return event, request.carried


@pytest.mark.parametrize("kind", CARRIED)
def test_a_source_of_each_kind_has_the_same_bits_wherever_it_is_cut(kind: str) -> None:
    model, draw = _loaded(CARRIED[kind]), random.Random(kind)
    assert why_not_carried(model.manifest) is None
    source = _source(model, draw)
    whole, _ = _read(model, source, [], Carry())
    assert _read(model, _from(source, LENGTH - 1), [], Carry())[0] != whole  # without what came before
    for keep in (1, draw.randrange(2, 9), draw.randrange(9, LENGTH - 1), LENGTH - 1):
        kept, carried = _read(model, source, [keep], Carry(keep=keep))
        assert kept == whole
        rest = LENGTH - keep
        cuts = sorted(draw.sample(range(1, rest), min(2, rest - 1)))
        assert _read(model, _from(source, keep), cuts, Carry(carried))[0] == whole


@pytest.mark.parametrize("kind", REFUSED)
def test_a_kind_without_a_state_says_why(kind: str) -> None:
    architecture, words = REFUSED[kind]
    reason = why_not_carried(_manifest(architecture))
    assert reason is not None
    assert words in reason
