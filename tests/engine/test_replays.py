"""Decoded tokens that are read once more: from the float32 network, in turns with the rows that decode."""

from pathlib import Path

import pytest
import torch

from app.engine.models import Models
from app.engine.protocol import Decode, Decoded, Event, Failed, Replay, Replayed, Tokens
from app.engine.tables import numbers
from app.models.networks import EncoderDecoder
from app.models.pieces import at_once
from app.models.replay import replay
from tests.engine.loop import Loop, answers, load
from tests.engine.references import open_shipped

MODEL = "lm-en/1"
SOURCE, INPUTS = [5, 6, 7, 8], [9, 10, 11]


@pytest.fixture
def models(tiny_store: Path) -> Models:
    return load(Models(torch.device("cpu"), slots=8), tiny_store, MODEL, "translate-en-ko/1")


def replayed(event: Event) -> Replayed:
    assert isinstance(event, Replayed), event
    return event


@pytest.mark.parametrize("key", [MODEL, "translate-en-ko/1"])
def test_numbers_are_those_of_the_stored_network(models: Models, tiny_store: Path, key: str) -> None:
    (event,) = answers(models, [(key, Tokens(SOURCE), Replay(INPUTS, 0))])
    network = open_shipped(tiny_store, key).network
    assert isinstance(network, EncoderDecoder)
    with torch.inference_mode():
        expected = at_once(replay(network.eval(), torch.tensor(SOURCE), INPUTS, 0, None))
    found = replayed(event)
    assert len(found.encoder) == len(expected.encoder)
    pairs = zip((*found.encoder, *found.decoder), (*expected.encoder, *expected.decoder), strict=True)
    for mine, theirs in pairs:
        torch.testing.assert_close(numbers(mine.hidden), theirs.hidden, rtol=0, atol=1e-5)
        for name, gate in theirs.gates.items():
            torch.testing.assert_close(numbers(mine.gates[name]), gate, rtol=0, atol=1e-5)


def test_a_text_that_is_not_read_begins_with_its_inputs(models: Models) -> None:
    unread, whole = answers(
        models,
        [
            (MODEL, Tokens(INPUTS[:1], unread=True), Replay(INPUTS, 1)),
            (MODEL, Tokens(INPUTS[:1]), Replay(INPUTS[1:], 1)),
        ],
    )
    (mine,), (theirs,) = replayed(unread).decoder, replayed(whole).decoder
    torch.testing.assert_close(numbers(mine.hidden), numbers(theirs.hidden), rtol=0, atol=1e-6)


def test_rows_decode_between_the_pieces(models: Models) -> None:
    loop = Loop(models)
    long = loop.add(MODEL, Tokens(SOURCE), Replay(INPUTS * 100))
    while not models[MODEL].in_pieces:
        loop.turn()
    short = loop.add(MODEL, Tokens(SOURCE), Decode(max_tokens=12))
    loop.run(until=lambda: bool(loop.events[short.key[1]]))
    assert isinstance(loop.events[short.key[1]][-1], Decoded)
    assert long in models[MODEL].in_pieces
    loop.run()
    assert isinstance(loop.events[long.key[1]][-1], Replayed)


def test_an_answer_is_the_same_beside_a_replay(models: Models) -> None:
    decode = (MODEL, Tokens(SOURCE), Decode(max_tokens=20))
    (alone,) = answers(models, [decode])
    beside, _ = answers(models, [decode, (MODEL, Tokens(SOURCE), Replay(INPUTS * 40))])
    assert not isinstance(alone, Failed)
    assert isinstance(beside, Decoded)
    assert isinstance(alone, Decoded)
    assert beside.hypotheses == alone.hypotheses
