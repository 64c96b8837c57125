"""Explanations that run in turns share the float32 network that the first of them makes."""

from pathlib import Path

import pytest
import torch

from app.engine.decode import release
from app.engine.encode import encode
from app.engine.loaded_model import LoadedModel
from app.engine.models import Models
from app.engine.pieces import run_piece
from app.engine.protocol import Event, Explain, Label, Labelled
from app.engine.request import Request, whole
from app.models.networks import Network
from app.models.pieces import InPieces
from app.store.model_store import open_version
from tests.engine.test_encode import request

SENTIMENT = "sentiment-en/1"


class Made:
    """Makes the network of a model, and counts how often."""

    def __init__(self, model: LoadedModel) -> None:
        assert model.make_exact is not None
        self.times = 0
        self._make = model.make_exact

    def __call__(self) -> InPieces[Network]:
        self.times += 1
        return self._make()


@pytest.fixture
def model(tiny_store: Path) -> LoadedModel:
    """A classifier that has explained nothing yet."""
    models = Models(torch.device("cpu"), slots=8, precision="float32")
    models.load(open_version(tiny_store / SENTIMENT))
    models[SENTIMENT].exact = None
    return models[SENTIMENT]


def begin(model: LoadedModel, *numbers: int) -> list[Request]:
    requests = [request(number, SENTIMENT, [5, 6, 7 + number], Label(Explain())) for number in numbers]
    assert encode(model, [whole(one) for one in requests]) == []
    return requests


def finish(model: LoadedModel, requests: list[Request]) -> dict[int, Event]:
    """One piece of each request in turn, as when each one that comes is the next."""
    events: dict[int, Event] = {}
    for turn in range(10_000):
        if not model.in_pieces:
            break
        for place, one in enumerate(requests):
            one.order = (float((place + turn) % len(requests)), place)
        events |= {one.key[1]: event for one, event in run_piece(model)}
    return events


def test_the_network_is_made_once(model: LoadedModel) -> None:
    made = model.make_exact = Made(model)
    events = finish(model, begin(model, 0, 1, 2))
    assert made.times == 1
    assert model.making_exact is None
    alone: dict[int, Event] = {}
    for number in range(3):
        alone |= finish(model, begin(model, number))
    assert events.keys() == alone.keys() == {0, 1, 2}
    assert all(isinstance(event, Labelled) for event in events.values())
    assert events == alone


def test_it_is_dropped_with_the_last_request_that_waits_for_it(model: LoadedModel) -> None:
    made = model.make_exact = Made(model)
    first, second = begin(model, 0, 1)
    assert run_piece(model) == []
    release(model, first)
    assert model.making_exact is not None
    release(model, second)
    assert model.making_exact is None
    assert finish(model, begin(model, 0)).keys() == {0}
    assert made.times == 2


def test_one_that_cannot_be_made_is_made_anew_for_the_next_request(model: LoadedModel) -> None:
    works = model.make_exact

    def fails() -> InPieces[Network]:
        yield
        raise MemoryError

    model.make_exact = fails
    requests = begin(model, 0, 1)
    assert run_piece(model) == []
    [(failed, _)] = run_piece(model)
    model.make_exact = works
    [other] = [one for one in requests if one is not failed]
    assert isinstance(finish(model, [other])[other.key[1]], Labelled)
