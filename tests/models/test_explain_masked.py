"""A masked classifier in one direction is explained in one pass: each row against that beginning alone."""

import pytest
import torch

from app.models.encoders import TextEncoder as Encoder
from app.models.explain import _probabilities
from app.models.networks import Classifier as Network
from app.models.networks import build_network
from app.store.architecture import Classifier, Recurrence, TextEncoder
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
    pieces = _probabilities(network, source, *network.encoder.embed(source[None], torch.tensor([300])))
    while True:
        try:
            next(pieces)
        except StopIteration as ended:
            found = ended.value
            break
    for length in (1, 2, 3, 4, 200, 297, 298, 300):
        alone = network.label(network.encoder(source[None, :length], torch.tensor([length])))
        torch.testing.assert_close(found[length - 1], network.probabilities(alone)[0])
