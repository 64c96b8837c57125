"""Networks whose numbers grow beyond float32: no answer has one that is not finite, and neighbours get theirs."""

from typing import Any

import pytest
import torch

from app.engine.faults import NOT_FINITE
from app.engine.models import Models
from app.engine.protocol import (
    AnswerSpec,
    Embed,
    Embedded,
    Event,
    Explain,
    Failed,
    Forecast,
    Label,
    Source,
    Tag,
    Tokens,
)
from app.models.networks import build_network
from app.store.architecture import Architecture
from app.store.classifier import Classifier
from app.store.encoders import SeriesEncoder, TextEncoder
from app.store.forecaster import Forecaster
from app.store.manifest import Manifest
from app.store.recurrence import Recurrence
from app.store.tagger import Tagger
from tests.engine.loop import answers
from tests.engine.number_references import rows_of, series
from tests.tiny_numbers import TAGS, number_drafts

LARGE, SMALL = 3e38, 1.0


def encoder(units: int = 2) -> SeriesEncoder:
    return SeriesEncoder(features=2, recurrence=Recurrence(cell="rnn_relu", input_size=2, hidden_size=units))


def doubling(name: str, architecture: Architecture, *, feedback: float = 0.0) -> tuple[Models, str]:
    """A network whose recurrence adds to twice its input its state times `feedback`, and whose output is 0 for finite
    numbers. Token 7 is a large number."""
    draft: Manifest = next(draft for draft in number_drafts() if draft.name == name)
    network = build_network(architecture, mean=[0.0] * 3, std=[1.0] * 3)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.zero_()
            if "weight_ih" in name:
                parameter.add_(2 * torch.eye(*parameter.shape))
            if "weight_hh" in name:
                parameter.add_(feedback)
            if "embedding" in name:
                parameter[7] = LARGE
    models = Models(torch.device("cpu"), slots=8, precision="float32")
    models.add(draft.model_copy(update={"architecture": architecture}), network)
    return models, draft.key


def both(models: Models, key: str, answer: AnswerSpec, *steps: float) -> tuple[Event, Event]:
    """The answers to a series with these steps, and to one of small numbers."""
    sources: list[Source] = [series(torch.tensor([[step, step] for step in of_one])) for of_one in (steps, (SMALL,))]
    bad, good = answers(models, [(key, source, answer) for source in sources])
    return bad, good


def classifier() -> tuple[Models, str]:
    return doubling("classify-series", Classifier(encoder=encoder(), pooling=("last",), labels=3))


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_states(pooling: Any) -> None:
    bad, good = both(*classifier(), Embed(pooling), LARGE)
    assert isinstance(bad, Failed)
    assert bad.reason == NOT_FINITE
    assert isinstance(good, Embedded)
    assert rows_of(good.state)[0].tolist() == [2.0, 2.0]


@pytest.mark.parametrize("answer", [Label(), Label(Explain()), Label(Explain(0))], ids=["plain", "explained", "layer"])
def test_labels_and_their_explanations(answer: Label) -> None:
    bad, good = both(*classifier(), answer, LARGE)
    assert isinstance(bad, Failed)
    assert bad.reason == NOT_FINITE
    assert not isinstance(good, Failed)


def test_an_explanation_that_ends_well() -> None:
    """The first state is infinite, the last one, of a network without memory, is not."""
    bad, good = both(*classifier(), Label(Explain(0)), LARGE, SMALL)
    assert isinstance(bad, Failed)
    assert bad.reason == NOT_FINITE
    assert not isinstance(good, Failed)
    plain, _ = both(*classifier(), Label(), SMALL)
    assert not isinstance(plain, Failed)


def test_states_beside_a_forecast_that_is_finite() -> None:
    """An infinite state makes the next one 0."""
    architecture = Forecaster(encoder=encoder(1), targets=2, feedback="state")
    models, key = doubling("forecast-state", architecture, feedback=-1.0)
    bad, good = both(models, key, Forecast(2, states=True), LARGE, SMALL)
    assert isinstance(bad, Failed)
    assert bad.reason == NOT_FINITE
    assert not isinstance(good, Failed)
    plain, _ = both(models, key, Forecast(2), LARGE, SMALL)
    assert not isinstance(plain, Failed)


@pytest.mark.parametrize("crf", [False, True])
def test_tags(crf: bool) -> None:
    words = TextEncoder(vocabulary_size=9, recurrence=Recurrence(cell="rnn_relu", input_size=2, hidden_size=2))
    models, key = doubling("tag-crf", Tagger(encoder=words, labels=len(TAGS), crf=crf))
    work: list[tuple[str, Source, AnswerSpec]] = [(key, Tokens(ids), Tag(scores=True)) for ids in ([5, 7], [5, 6])]
    bad, good = answers(models, work)
    assert isinstance(bad, Failed)
    assert bad.reason == NOT_FINITE
    assert not isinstance(good, Failed)


def test_a_network_without_finite_numbers_can_be_loaded() -> None:
    """Its warm-up is no request: what the weights make of zeros is their answer."""
    architecture = Forecaster(encoder=encoder(), targets=2, feedback="state")
    draft = next(draft for draft in number_drafts() if draft.name == "forecast-state")
    network = build_network(architecture, mean=[0.0] * 3, std=[1.0] * 3)
    with torch.no_grad():
        for _, parameter in network.named_parameters():
            parameter.fill_(1e20)
    models = Models(torch.device("cpu"), slots=8, precision="float32")
    models.add(draft.model_copy(update={"architecture": architecture}), network)
    bad, _ = both(models, draft.key, Forecast(3), SMALL)
    assert isinstance(bad, Failed)
    assert bad.reason.startswith(NOT_FINITE)
