"""A masked classifier in one direction is explained in one pass: each row against that beginning alone."""

from typing import Literal

import pytest
import torch

from app.models.encoders import TextEncoder as Encoder
from app.models.explain import _probabilities
from app.models.networks import Classifier as Network
from app.models.networks import build_network
from app.models.pieces import at_once
from app.store.classifier import Classifier
from app.store.encoders import TextEncoder
from app.store.pooled import AttentionPooling
from app.store.recurrence import Recurrence
from app.store.stages import LinearStage
from tests.models.series_references import randomised


@pytest.mark.parametrize("side", ["left", "right"])
@torch.no_grad()
def test_each_beginning_of_a_padded_text(side: str) -> None:
    recurrence = Recurrence(cell="lstm", input_size=3, hidden_size=4, layers=2)
    encoder = TextEncoder(vocabulary_size=9, mask_id=0, recurrence=recurrence)
    config = Classifier(encoder=encoder, pooling=("last",), labels=3)
    assert config.explains_in_one_pass
    network = randomised(build_network(config, mean=[], std=[]).eval())
    assert isinstance(network, Network)
    assert isinstance(network.encoder, Encoder)
    text, padding = torch.tensor([3, 5, 0, 7]), torch.zeros(296, dtype=torch.long)
    source = torch.cat((padding, text) if side == "left" else (text, padding))
    found = at_once(_probabilities(network, source, *network.encoder.embed(source[None], torch.tensor([300]))))
    for length in (1, 2, 3, 4, 200, 297, 298, 300):
        alone = network.label(network.encoder(source[None, :length], torch.tensor([length])))
        torch.testing.assert_close(found[length - 1], network.probabilities(alone)[0])


@pytest.mark.parametrize("side", ["left", "right", "within"])
@pytest.mark.parametrize("outputs", ["repeat", "zero"])
@torch.no_grad()
def test_masked_steps_in_a_row_are_read_once(side: str, outputs: Literal["repeat", "zero"]) -> None:
    """In two directions each beginning is read anew, by every pooling as if all of them were."""
    recurrence = Recurrence(cell="gru", input_size=3, hidden_size=4, directions=2)
    encoder = TextEncoder(
        vocabulary_size=9, mask_id=0, recurrence=recurrence, masked_outputs=outputs, back=(LinearStage(size=5),)
    )
    pooling = ("last", "last_output", "max", "mean", "sum", "attention")
    attention = AttentionPooling(kind="linear", activation="tanh")
    config = Classifier(encoder=encoder, pooling=pooling, attention=attention, labels=3)
    assert not config.explains_in_one_pass
    network = randomised(build_network(config, mean=[], std=[]).eval())
    assert isinstance(network, Network)
    padding = [0] * 150
    ids = {"left": [*padding, 3, 5, 7], "right": [3, 5, 7, *padding], "within": [4, *padding, 3, 0, 0, 8]}[side]
    source = torch.tensor(ids)
    assert len(config.encoder.differing_beginnings([token != 0 for token in ids])) <= 7
    found = at_once(_probabilities(network, source, *network.encoder.embed(source[None], torch.tensor([len(ids)]))))
    for length in range(1, len(ids) + 1):
        alone = network.label(network.encoder(source[None, :length], torch.tensor([length])))
        torch.testing.assert_close(found[length - 1], network.probabilities(alone)[0])
