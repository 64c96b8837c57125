"""Taggers: against one text at a time through torch.nn, with and without a conditional random field."""

from typing import Literal

import pytest
import torch
from torch import Tensor

from app.models.networks import Tagger, build_network
from app.models.pieces import at_once
from app.store.encoders import TextEncoder
from app.store.layer import Layer
from app.store.recurrence import Recurrence
from app.store.tagger import Tagger as TaggerConfig
from tests.models.references import encode_row
from tests.models.series_references import every_path, head, linear, path_score, randomised, under

VOCABULARY, LABELS, SOURCE = 13, 3, 6
LENGTHS = torch.tensor([3, SOURCE, 1, 5])


def tagger(*, crf: bool, directions: Literal[1, 2] = 2) -> Tagger:
    recurrence = Recurrence(cell="lstm", input_size=4, hidden_size=5, directions=directions)
    config = TaggerConfig(
        encoder=TextEncoder(vocabulary_size=VOCABULARY, recurrence=recurrence),
        head=(Layer(size=7),),
        labels=LABELS,
        crf=crf,
    )
    network = build_network(config, mean=[], std=[])
    assert isinstance(network, Tagger)
    with torch.no_grad():
        for values in network.parameters():
            values.mul_(3)
    randomised(network)
    return network


def texts() -> Tensor:
    return torch.randint(VOCABULARY, (len(LENGTHS), SOURCE))


def logits_alone(network: Tagger, tokens: Tensor) -> Tensor:
    """tokens (source,) to logits (source, labels)."""
    weights = network.state_dict()
    encoded = encode_row(network.config.encoder.recurrence, under("encoder.", weights), tokens)
    layers = [head(network.config.head, under("head.", weights), output) for output in encoded.memory[0]]
    return torch.stack([linear(weights, "output", features) for features in layers])


@pytest.mark.parametrize("crf", [False, True])
@pytest.mark.parametrize("directions", [1, 2])
@torch.no_grad()
def test_logits_equal_one_text_at_a_time(crf: bool, directions: Literal[1, 2]) -> None:
    network, tokens = tagger(crf=crf, directions=directions), texts()
    logits = network(tokens, LENGTHS)
    assert logits.shape == (len(LENGTHS), SOURCE, LABELS)
    for row, length in enumerate(LENGTHS.tolist()):
        expected = logits_alone(network, tokens[row, :length])
        torch.testing.assert_close(logits[row, :length], expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_tags_are_the_most_probable_of_each_token() -> None:
    network, tokens = tagger(crf=False), texts()
    logits = network(tokens, LENGTHS)
    labels, shares = at_once(network.labels(logits, LENGTHS)), at_once(network.probabilities(logits, LENGTHS))
    for row, length in enumerate(LENGTHS.tolist()):
        expected = logits_alone(network, tokens[row, :length]).softmax(1)
        torch.testing.assert_close(shares[row, :length], expected, rtol=0, atol=1e-5)
        assert labels[row, :length].tolist() == expected.argmax(1).tolist()


@torch.no_grad()
def test_tags_of_a_crf_are_the_most_probable_together() -> None:
    network, tokens = tagger(crf=True), texts()
    logits = network(tokens, LENGTHS)
    labels, shares = at_once(network.labels(logits, LENGTHS)), at_once(network.probabilities(logits, LENGTHS))
    weights = under("crf.", network.state_dict())
    for row, length in enumerate(LENGTHS.tolist()):
        logits = logits_alone(network, tokens[row, :length])
        paths = every_path(LABELS, length)
        probabilities = torch.stack([path_score(weights, logits, path) for path in paths]).softmax(0)
        assert tuple(labels[row, :length].tolist()) == paths[int(probabilities.argmax())]
        for position in range(length):
            for label in range(LABELS):
                here = [number for number, path in enumerate(paths) if path[position] == label]
                expected = probabilities[here].sum().item()
                assert shares[row, position, label].item() == pytest.approx(expected, abs=1e-5)
