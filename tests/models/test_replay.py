"""What a network does while it reads and writes, against `torch.nn` and against the steps of the network itself."""

from typing import Any

import pytest
import torch
from torch import Tensor

from app.models.encoders import TextEncoder
from app.models.explain import Activations
from app.models.networks import EncoderDecoder
from app.models.pieces import at_once
from app.models.replay import Replayed, replay
from app.models.state import State
from app.store.encoder_decoder import EncoderDecoder as EncoderDecoderConfig
from app.store.language_model import LanguageModel
from app.store.recurrence import CellKind, Recurrence
from tests.models.references import torch_module
from tests.models.test_explain import GATES, THIN

VOCABULARY = 30
SOURCE = torch.tensor([4, 9, 2, 7, 7, 1])
INPUTS = [3, 8, 8, 21, 5]
DECODER = {"vocabulary_size": VOCABULARY, "embedding_size": 5, "hidden_size": 6, "layers": 2}
TEXT = {"kind": "text", "vocabulary_size": VOCABULARY}
IMAGE = {"kind": "image", "resnet": THIN, "image_size": 32}
TO_TOKENS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "no attention": (
        TEXT | {"recurrence": {"cell": "lstm", "input_size": 5, "hidden_size": 6, "layers": 2}},
        {"cell": "lstm", "bridge": "copy"},
    ),
    "attention after the step": (
        TEXT | {"recurrence": {"cell": "gru", "input_size": 5, "hidden_size": 4, "layers": 3, "directions": 2}},
        {"cell": "lstm", "attention": {"kind": "general"}, "readout": ("hidden", "context"), "readout_size": 7},
    ),
    "attention before the step": (
        TEXT | {"recurrence": {"cell": "lstm", "input_size": 5, "hidden_size": 4, "directions": 2}},
        {"cell": "gru", "attention": {"kind": "additive", "size": 3}, "context": "input", "input_size": 8},
    ),
    "input feeding": (
        TEXT | {"recurrence": {"cell": "gru", "input_size": 5, "hidden_size": 6, "reset_after": False}},
        {
            "cell": "gru",
            "reset_after": False,
            "attention": {"kind": "dot"},
            "readout": ("hidden", "context"),
            "readout_size": 7,
            "input_feeding": True,
        },
    ),
    "masked": (
        TEXT | {"mask_id": 7, "recurrence": {"cell": "rnn_tanh", "input_size": 5, "hidden_size": 6}},
        {"cell": "rnn_relu", "attention": {"kind": "dot"}, "readout": ("hidden", "context")},
    ),
    "an image": (IMAGE, {"cell": "lstm", "attention": {"kind": "gated", "size": 3}, "context": "input"}),
    "an image first": (
        IMAGE | {"output": "pooled", "projection": {"size": 5}},
        {"cell": "lstm", "bridge": "zeros", "first_input": "summary"},
    ),
}


def spread(network: EncoderDecoder) -> EncoderDecoder:
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if ".resnet." not in name:
                parameter.mul_(2)
    return network.eval()


def language_model(cell: CellKind) -> EncoderDecoder:
    torch.manual_seed(5)
    recurrence = Recurrence(cell=cell, input_size=5, hidden_size=6, layers=2)
    return spread(EncoderDecoder(LanguageModel(vocabulary_size=VOCABULARY, recurrence=recurrence)))


def encoder_decoder(name: str) -> EncoderDecoder:
    torch.manual_seed(5)
    encoder, decoder = TO_TOKENS[name]
    return spread(
        EncoderDecoder(EncoderDecoderConfig.model_validate({"encoder": encoder, "decoder": DECODER | decoder}))
    )


def source_of(network: EncoderDecoder) -> Tensor:
    if isinstance(network.encoder, TextEncoder):
        return SOURCE
    return torch.randint(256, (1, 32, 32, 3), dtype=torch.uint8)


def states(network: EncoderDecoder, source: Tensor, inputs: list[int]) -> list[State]:
    """The state after each step of the network as it decodes."""
    batch = source.unsqueeze(0) if isinstance(network.encoder, TextEncoder) else source
    state, found = network.encode(batch, torch.tensor([len(source)])), []
    for token in inputs:
        _, state, _ = network.step(torch.tensor([token]), state)
        found.append(state)
    return found


def check_states(found: Activations, states: list[State], layer: int) -> None:
    hidden = torch.stack([state["hidden"][0, layer] for state in states])
    torch.testing.assert_close(found.hidden, hidden, rtol=0, atol=1e-5)
    assert (found.cell is None) == ("cell" not in states[0])
    if found.cell is not None:
        cell = torch.stack([state["cell"][0, layer] for state in states])
        torch.testing.assert_close(found.cell, cell, rtol=0, atol=1e-5)


def check_gates(found: Activations, first: State, layer: int) -> None:
    """States and gates obey the equations of their cell, from the state before the first step on."""
    hidden_before = torch.cat((first["hidden"][0, layer, None], found.hidden[:-1]))
    gates = found.gates
    if found.cell is not None:
        cell_before = torch.cat((first["cell"][0, layer, None], found.cell[:-1]))
        cell = gates["forget"] * cell_before + gates["input"] * gates["candidate"]
        torch.testing.assert_close(found.cell, cell, rtol=0, atol=1e-6)
        torch.testing.assert_close(found.hidden, gates["output"] * found.cell.tanh(), rtol=0, atol=1e-6)
    elif gates:
        hidden = (1 - gates["update"]) * gates["candidate"] + gates["update"] * hidden_before
        torch.testing.assert_close(found.hidden, hidden, rtol=0, atol=1e-6)


@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "gru", "lstm"])
@pytest.mark.parametrize("layer", [0, 1])
@torch.no_grad()
def test_a_language_model_reads_text_and_answer_as_torch_does(cell: CellKind, layer: int) -> None:
    network = language_model(cell)
    found = at_once(replay(network, SOURCE, INPUTS, layer, None))
    assert found.encoder == []
    (decoder,) = found.decoder
    assert isinstance(network.encoder, TextEncoder)
    spec = network.encoder.recurrence.recurrence.model_copy(update={"layers": layer + 1})
    module = torch_module(spec)
    weights = network.encoder.recurrence.state_dict()
    module.load_state_dict({name: weights[name] for name in module.state_dict()})
    ids = torch.tensor([*SOURCE.tolist(), *INPUTS])
    outputs, last = module(network.encoder.embedding(ids)[None])
    torch.testing.assert_close(decoder.hidden, outputs[0], rtol=0, atol=1e-5)
    if cell == "lstm":
        assert decoder.cell is not None
        torch.testing.assert_close(decoder.cell[-1], last[1][layer, 0], rtol=0, atol=1e-5)
    assert decoder.gates.keys() == GATES[cell]
    check_gates(decoder, network.decoder.start_at_zero(torch.zeros(1)), layer)
    served = states(network, SOURCE, INPUTS)
    check_states(_rows(decoder, len(SOURCE)), served, layer)


def _rows(found: Activations, first: int) -> Activations:
    cell = None if found.cell is None else found.cell[first:]
    return Activations(found.hidden[first:], cell, {}, found.units)


@pytest.mark.parametrize("name", TO_TOKENS)
@pytest.mark.parametrize("layer", [0, 1, None])
@torch.no_grad()
def test_a_decoder_writes_as_it_does_in_the_engine(name: str, layer: int | None) -> None:
    network = encoder_decoder(name)
    source = source_of(network)
    found = at_once(replay(network, source, INPUTS, layer, None))
    (decoder,) = found.decoder
    shown = 1 if layer is None else layer
    check_states(decoder, states(network, source, INPUTS), shown)
    batch = source.unsqueeze(0) if isinstance(network.encoder, TextEncoder) else source
    check_gates(decoder, network.encode(batch, torch.tensor([len(source)])), shown)
    assert decoder.gates.keys() == GATES[network.config.decoder.cell]
    check_encoder(network, found, source, layer)


def check_encoder(network: EncoderDecoder, found: Replayed, source: Tensor, layer: int | None) -> None:
    """The outputs of a layer of the encoder; of one with fewer layers those of its last one."""
    encoder = network.encoder
    if not isinstance(encoder, TextEncoder):
        assert found.encoder == []
        return
    spec = encoder.recurrence.recurrence
    assert len(found.encoder) == spec.directions
    layers = spec.layers if layer is None else min(layer + 1, spec.layers)
    encoded = encoder(source[None], torch.tensor([len(source)]), layers=layers)
    hidden = torch.cat([one.hidden for one in found.encoder], 1)
    torch.testing.assert_close(hidden, encoded.memory[0], rtol=0, atol=1e-5)
    assert all(one.gates.keys() == GATES[spec.cell] for one in found.encoder)


@torch.no_grad()
def test_without_inputs_only_the_source_is_read() -> None:
    found = at_once(replay(encoder_decoder("no attention"), SOURCE, [], None, None))
    assert (len(found.encoder), found.decoder) == (1, [])
    nothing = SOURCE[:0]
    assert at_once(replay(language_model("gru"), nothing, [], 0, None)) == Replayed([], [])
    (decoder,) = at_once(replay(language_model("gru"), nothing, INPUTS, 0, None)).decoder
    assert decoder.hidden.shape == (len(INPUTS), 6)


@torch.no_grad()
def test_the_units_that_change_most_are_chosen_in_each_network() -> None:
    network = encoder_decoder("attention after the step")
    whole = at_once(replay(network, SOURCE, INPUTS, 0, None))
    few = at_once(replay(network, SOURCE, INPUTS, 0, 3))
    for every, chosen in zip((*whole.encoder, *whole.decoder), (*few.encoder, *few.decoder), strict=True):
        changes = every.hidden.diff(dim=0).abs().sum(0)
        assert chosen.units.tolist() == changes.argsort(descending=True, stable=True)[:3].tolist()
        assert torch.equal(chosen.hidden, every.hidden[:, chosen.units])
        assert all(torch.equal(chosen.gates[name], every.gates[name][:, chosen.units]) for name in every.gates)


@torch.no_grad()
def test_long_texts_are_read_in_many_pieces() -> None:
    long = torch.randint(VOCABULARY, (500,))
    assert sum(1 for _ in replay(language_model("lstm"), long, INPUTS, 0, None)) >= 30
    assert sum(1 for _ in replay(encoder_decoder("attention after the step"), long, INPUTS * 60, 0, None)) >= 80
