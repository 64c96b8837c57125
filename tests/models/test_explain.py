"""Explanations against their definition: the network's answer to each prefix of the text."""

from itertools import pairwise
from typing import Any, Literal

import pytest
import torch

from app.models.encoders import TextEncoder
from app.models.explain import explain
from app.models.networks import Classifier
from app.models.pieces import at_once
from app.store.classifier import Classifier as ClassifierConfig
from app.store.encoder_part import Pooling
from app.store.encoders import FramesEncoder, SeriesEncoder
from app.store.encoders import TextEncoder as TextEncoderConfig
from app.store.recurrence import CellKind, Recurrence

VOCABULARY = 30
GATES: dict[CellKind, set[str]] = {
    "rnn_tanh": set(),
    "rnn_relu": set(),
    "gru": {"reset", "update", "candidate"},
    "lstm": {"input", "forget", "candidate", "output"},
}


def classifier(
    cell: CellKind, directions: Literal[1, 2], pooling: tuple[Pooling, ...] = ("last", "max", "mean"), layers: int = 2
) -> Classifier:
    torch.manual_seed(3)
    recurrence = Recurrence(cell=cell, input_size=5, hidden_size=6, layers=layers, directions=directions)
    encoder = TextEncoderConfig(vocabulary_size=VOCABULARY, recurrence=recurrence)
    network = Classifier(ClassifierConfig(encoder=encoder, pooling=pooling, labels=3)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
    return network


every_cell = pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "gru", "lstm"])


@every_cell
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("length", [1, 7, 150])
@torch.no_grad()
def test_each_row_is_the_answer_to_the_text_that_ends_there(
    cell: CellKind, directions: Literal[1, 2], length: int
) -> None:
    network = classifier(cell, directions)
    tokens = torch.randint(VOCABULARY, (length,))
    found = at_once(explain(network, tokens, None, None)).probabilities
    assert found.shape == (length, 3)
    for end in range(1, length + 1):
        alone = network(tokens[None, :end], torch.tensor([end])).softmax(1)[0]
        torch.testing.assert_close(found[end - 1], alone, rtol=0, atol=1e-5)


@every_cell
@pytest.mark.parametrize("directions", [1, 2])
@torch.no_grad()
def test_activations_are_those_of_the_network(cell: CellKind, directions: Literal[1, 2]) -> None:
    network = classifier(cell, directions)
    tokens = torch.randint(VOCABULARY, (9,))
    encoded = network.encoder(tokens[None], torch.tensor([9]))
    found = at_once(explain(network, tokens, 1, None)).directions
    assert len(found) == directions
    torch.testing.assert_close(torch.cat([one.hidden for one in found], 1), encoded.memory[0], rtol=1e-6, atol=1e-5)
    ends = [one.hidden[0 if number else -1] for number, one in enumerate(found)]
    torch.testing.assert_close(torch.stack(ends), encoded.state.hidden[0, -directions:], rtol=0, atol=1e-5)
    for number, one in enumerate(found):
        assert one.gates.keys() == GATES[cell]
        if one.cell is not None:
            last = one.cell[0 if number else -1]
            torch.testing.assert_close(last, encoded.state.cell[0, -directions + number], rtol=0, atol=1e-5)


@torch.no_grad()
def test_gates_explain_the_next_cell() -> None:
    """The returned activations obey the LSTM's equation: cell = forget * previous cell + input * candidate."""
    tokens = torch.randint(VOCABULARY, (8,))
    (found,) = at_once(explain(classifier("lstm", 1, layers=1), tokens, 0, None)).directions
    assert found.cell is not None
    before = torch.cat((torch.zeros(1, 6), found.cell[:-1]))
    gates = found.gates
    torch.testing.assert_close(gates["forget"] * before + gates["input"] * gates["candidate"], found.cell)
    torch.testing.assert_close(gates["output"] * found.cell.tanh(), found.hidden)


def test_layers_below_are_run_first() -> None:
    network = classifier("gru", 2)
    tokens = torch.randint(VOCABULARY, (5,))
    (forward, backward) = at_once(explain(network, tokens, 0, None)).directions
    assert isinstance(network.encoder, TextEncoder)
    embedded = network.encoder.embedding(tokens)[None]
    below = torch.nn.GRU(5, 6, bidirectional=True, batch_first=True)
    state = {name: value for name, value in network.encoder.recurrence.state_dict().items() if "_l0" in name}
    below.load_state_dict(state)
    torch.testing.assert_close(torch.cat((forward.hidden, backward.hidden), 1), below(embedded)[0][0])


@every_cell
@pytest.mark.parametrize("directions", [1, 2])
@torch.no_grad()
def test_the_units_that_change_most_are_chosen(cell: CellKind, directions: Literal[1, 2]) -> None:
    network = classifier(cell, directions)
    tokens = torch.randint(VOCABULARY, (40,))
    whole = at_once(explain(network, tokens, 1, None))
    few = at_once(explain(network, tokens, 1, 4))
    assert torch.equal(few.probabilities, whole.probabilities)
    for every, chosen in zip(whole.directions, few.directions, strict=True):
        changes = [sum(abs(later - before) for before, later in pairwise(unit)) for unit in every.hidden.T.tolist()]
        assert chosen.units.tolist() == sorted(range(6), key=lambda unit: -changes[unit])[:4]
        assert torch.equal(chosen.hidden, every.hidden[:, chosen.units])
        assert all(torch.equal(chosen.gates[name], every.gates[name][:, chosen.units]) for name in every.gates)
        assert every.units.tolist() == [*range(6)]


@pytest.mark.parametrize(("directions", "pieces"), [(1, 187), (2, 40)])
def test_long_texts_are_explained_in_many_pieces(directions: Literal[1, 2], pieces: int) -> None:
    length = 1000 if directions == 1 else 128
    work = explain(classifier("gru", directions), torch.randint(VOCABULARY, (length,)), 1, None)
    assert sum(1 for _ in work) >= pieces


SERIES: dict[str, dict[str, Any]] = {
    "forward": {"recurrence": {"cell": "lstm", "input_size": 3, "hidden_size": 6, "layers": 2}},
    "bidirectional": {"recurrence": {"cell": "gru", "input_size": 3, "hidden_size": 6, "directions": 2}},
    "behind blocks": {
        "front": [{"kind": "residual", "width": 5, "kernels": (3, 3)}],
        "recurrence": {"cell": "lstm", "input_size": 5, "hidden_size": 6},
    },
    "beside blocks": {
        "branch": [{"kind": "plain", "width": 5, "kernels": (4,)}],
        "recurrence": {"cell": "lstm", "input_size": 3, "hidden_size": 6},
    },
}
THIN = {"block": "basic", "blocks": (1, 1, 1, 1), "stem_width": 4, "widths": (4, 4, 4, 6)}


def over_series(name: str) -> Classifier:
    encoder = SeriesEncoder.model_validate({"features": 3, **SERIES[name]})
    return Classifier(ClassifierConfig(encoder=encoder, pooling=("last", "max", "mean"), labels=3)).eval()


def over_frames(directions: Literal[1, 2]) -> Classifier:
    image = {"kind": "image", "resnet": THIN, "image_size": 32, "output": "pooled"}
    recurrence = Recurrence(cell="lstm", input_size=6, hidden_size=5, directions=directions)
    encoder = FramesEncoder.model_validate({"image": image, "recurrence": recurrence})
    return Classifier(ClassifierConfig(encoder=encoder, pooling=("last", "max"), labels=3)).eval()


def check_prefixes(network: Classifier, source: torch.Tensor) -> None:
    """Each row is the answer to the source that ends there, and the activations are the network's."""
    found = at_once(explain(network, source, 0, None))
    assert found.probabilities.shape == (len(source), 3)
    for end in range(1, len(source) + 1):
        alone = network(source[None, :end], torch.tensor([end])).softmax(1)[0]
        torch.testing.assert_close(found.probabilities[end - 1], alone, rtol=0, atol=1e-6)
    encoded = network.encoder(source[None], torch.tensor([len(source)]), layers=1)
    hidden = torch.cat([one.hidden for one in found.directions], 1)
    torch.testing.assert_close(hidden, encoded.memory[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("length", [1, 40, 130])
@torch.no_grad()
def test_each_row_is_the_answer_to_the_series_that_ends_there(name: str, length: int) -> None:
    torch.manual_seed(4)
    check_prefixes(over_series(name), torch.randn(length, 3))


@pytest.mark.parametrize("directions", [1, 2])
@torch.no_grad()
def test_each_row_is_the_answer_to_the_clip_that_ends_there(directions: Literal[1, 2]) -> None:
    torch.manual_seed(5)
    network = over_frames(directions)
    frames = torch.randint(256, (5, 32, 32, 3), dtype=torch.uint8)
    check_prefixes(network, frames)
    pieces = list(explain(network, frames, None, None))
    assert len(pieces) > len(frames)  # a frame is a piece of its own: it takes as long as many steps
