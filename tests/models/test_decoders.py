"""Decoder: all steps at once, step after step, and the papers' formulas agree."""

from typing import Literal

import pytest
import torch
from torch import Tensor

from app.models.cells import RecurrentState
from app.models.decoders import Decoder
from app.models.encoders import Encoded
from app.models.state import State
from app.store.attention import Attention, AttentionKind
from app.store.decoder import Decoder as DecoderConfig
from app.store.recurrence import CellKind
from tests.models.references import decode, mask_of

Bridge = Literal["zeros", "copy", "linear", "tanh"]
Context = Literal["input", "output"]

VOCABULARY, EMBEDDING, HIDDEN, BATCH, SOURCE, TARGET = 11, 5, 6, 3, 7, 4
LENGTHS = torch.tensor([4, SOURCE, 1])

every_attention = pytest.mark.parametrize("kind", ["none", "dot", "general", "additive", "gated"])
every_bridge = pytest.mark.parametrize("bridge", ["zeros", "copy", "linear", "tanh"])
both_contexts = pytest.mark.parametrize("context", ["input", "output"])
one_and_two_layers = pytest.mark.parametrize("layers", [1, 2])
both_cells = pytest.mark.parametrize("cell", ["lstm", "gru"])
both_outputs = pytest.mark.parametrize("tied", [False, True], ids=["own output", "tied output"])


def configuration(
    kind: AttentionKind,
    *,
    context: Context = "output",
    bridge: Bridge = "tanh",
    layers: int = 1,
    cell: CellKind = "lstm",
    tied: bool = False,
) -> DecoderConfig:
    readout: tuple[Literal["hidden", "context", "embedding"], ...] = ("hidden",)
    if kind != "none":
        readout = ("embedding", "context", "hidden") if tied else ("hidden", "context")
    return DecoderConfig(
        vocabulary_size=VOCABULARY,
        embedding_size=EMBEDDING,
        cell=cell,
        hidden_size=HIDDEN,
        layers=layers,
        attention=Attention(kind=kind, size=4 if kind in ("additive", "gated") else None),
        context=context,
        readout=readout,
        readout_size=EMBEDDING if tied else None,
        tied_output=tied,
        bridge=bridge,
    )


def build(config: DecoderConfig) -> Decoder:
    return Decoder(config, memory_size=memory_size(config), summary_size=memory_size(config)).eval()


def memory_size(config: DecoderConfig) -> int:
    return HIDDEN if config.attention.kind == "dot" else 8


def encoded_for(config: DecoderConfig) -> Encoded:
    """Sources of different lengths. Their padding has large values."""
    size = memory_size(config)
    real = mask_of(LENGTHS, SOURCE)
    memory = torch.where(real.unsqueeze(2), torch.randn(BATCH, SOURCE, size), 100 * torch.randn(BATCH, SOURCE, size))
    shape = BATCH, config.layers, HIDDEN
    state = RecurrentState(torch.randn(shape), torch.randn(shape) if config.cell == "lstm" else None)
    return Encoded(memory, real, torch.randn(BATCH, size), state)


def row_of(encoded: Encoded, row: int) -> Encoded:
    """One source alone, without its padding."""
    rows, length = slice(row, row + 1), int(LENGTHS[row])
    assert encoded.state is not None
    cell = None if encoded.state.cell is None else encoded.state.cell[rows]
    state = RecurrentState(encoded.state.hidden[rows], cell)
    return Encoded(encoded.memory[rows, :length], encoded.memory_mask[rows, :length], encoded.summary[rows], state)


def random_tokens() -> Tensor:
    return torch.randint(VOCABULARY, (BATCH, TARGET))


def tensors_of(state: State) -> dict[str, Tensor]:
    return {name: part for name, part in state.items() if isinstance(part, Tensor)}


def step_through(decoder: Decoder, tokens: Tensor, state: State) -> tuple[Tensor, State]:
    logits = []
    for position in range(tokens.shape[1]):
        step_logits, state, _ = decoder.step(tokens[:, position], state)
        logits.append(step_logits)
    return torch.stack(logits, 1), state


@every_attention
@both_contexts
@every_bridge
@one_and_two_layers
@both_cells
@both_outputs
@torch.no_grad()
def test_unroll_equals_steps_and_the_papers_formulas(
    kind: AttentionKind, context: Context, bridge: Bridge, layers: int, cell: CellKind, tied: bool
) -> None:
    config = configuration(kind, context=context, bridge=bridge, layers=layers, cell=cell, tied=tied)
    decoder = build(config)
    encoded, tokens = encoded_for(config), random_tokens()
    logits = decoder.unroll(tokens, decoder.start(encoded))
    assert logits.shape == (BATCH, TARGET, VOCABULARY)
    stepped, _ = step_through(decoder, tokens, decoder.start(encoded))
    torch.testing.assert_close(logits, stepped, rtol=0, atol=1e-5)
    expected = decode(config, decoder.state_dict(), encoded, tokens)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu"])
@both_contexts
@one_and_two_layers
@torch.no_grad()
def test_plain_cells_decode_too(cell: CellKind, context: Context, layers: int) -> None:
    config = configuration("additive", context=context, layers=layers, cell=cell)
    decoder = build(config)
    encoded, tokens = encoded_for(config), random_tokens()
    expected = decode(config, decoder.state_dict(), encoded, tokens)
    torch.testing.assert_close(decoder.unroll(tokens, decoder.start(encoded)), expected, rtol=0, atol=1e-5)
    stepped, _ = step_through(decoder, tokens, decoder.start(encoded))
    torch.testing.assert_close(stepped, expected, rtol=0, atol=1e-5)


@every_attention
@both_contexts
@every_bridge
@both_cells
@torch.no_grad()
def test_row_of_a_batch_equals_the_row_alone(
    kind: AttentionKind, context: Context, bridge: Bridge, cell: CellKind
) -> None:
    config = configuration(kind, context=context, bridge=bridge, layers=2, cell=cell)
    decoder = build(config)
    encoded, tokens = encoded_for(config), random_tokens()
    unrolled = decoder.unroll(tokens, decoder.start(encoded))
    stepped, last = step_through(decoder, tokens, decoder.start(encoded))
    for row in range(BATCH):
        alone = row_of(encoded, row)
        one = tokens[row : row + 1]
        torch.testing.assert_close(unrolled[row], decoder.unroll(one, decoder.start(alone))[0], rtol=0, atol=1e-5)
        stepped_alone, last_alone = step_through(decoder, one, decoder.start(alone))
        torch.testing.assert_close(stepped[row], stepped_alone[0], rtol=0, atol=1e-5)
        torch.testing.assert_close(last["hidden"][row], last_alone["hidden"][0], rtol=0, atol=1e-5)
        assert ("cell" in last) == ("cell" in last_alone) == (cell == "lstm")
        if "cell" in last:
            torch.testing.assert_close(last["cell"][row], last_alone["cell"][0], rtol=0, atol=1e-5)


@every_attention
@both_contexts
@both_cells
@torch.no_grad()
def test_step_leaves_its_state_alone(kind: AttentionKind, context: Context, cell: CellKind) -> None:
    config = configuration(kind, context=context, cell=cell)
    decoder = build(config)
    state = decoder.start(encoded_for(config))
    before = {name: part.clone() for name, part in tensors_of(state).items()}
    _, advanced, weights = decoder.step(random_tokens()[:, 0], state)
    assert advanced.keys() == state.keys() == before.keys()
    assert not torch.equal(advanced["hidden"], before["hidden"])
    for name, part in tensors_of(state).items():
        assert torch.equal(part, before[name])
        assert len(part) == BATCH  # one row of each tensor belongs to one request
    attention_parts = {"memory", "keys", "memory_mask"}
    if kind == "none":
        assert weights is None
        assert not attention_parts & before.keys()
        return
    assert attention_parts <= before.keys()
    assert weights is not None
    real = mask_of(LENGTHS, SOURCE)
    assert not weights[~real].any()
    torch.testing.assert_close(weights.sum(1), torch.ones(BATCH), rtol=0, atol=1e-6)


@every_attention
@both_cells
def test_gradient_of_unroll_equals_that_of_steps(kind: AttentionKind, cell: CellKind) -> None:
    config = configuration(kind, layers=2, cell=cell, tied=True)
    decoder = build(config)
    encoded, tokens = encoded_for(config), random_tokens()
    direction = torch.randn(BATCH, TARGET, VOCABULARY)
    parameters = dict(decoder.named_parameters())
    unrolled = decoder.unroll(tokens, decoder.start(encoded))
    stepped, _ = step_through(decoder, tokens, decoder.start(encoded))
    actual = torch.autograd.grad((unrolled * direction).sum(), list(parameters.values()))
    expected = torch.autograd.grad((stepped * direction).sum(), list(parameters.values()))
    for name, ours, theirs in zip(parameters, actual, expected, strict=True):
        assert theirs.any(), name
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@every_attention
def test_tied_output_is_the_embedding(kind: AttentionKind) -> None:
    tied = build(configuration(kind, tied=True))
    assert tied.output.weight is tied.embedding.weight
    names = dict(tied.named_parameters()).keys()
    assert "output.weight" not in names
    assert {"embedding.weight", "output.bias"} <= names
    tied.load_state_dict({name: torch.randn_like(values) for name, values in tied.named_parameters()}, strict=False)
    assert torch.equal(tied.output.weight, tied.embedding.weight)
    untied = build(configuration(kind))
    assert untied.output.weight is not untied.embedding.weight
