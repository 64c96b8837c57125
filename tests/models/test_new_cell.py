"""A new kind of cell: with an entry in each of the two tables of cells it runs in every form of a network.

The cells are a minimal gated unit (Zhou et al. 2016, here with the reset of `torch.nn.GRU`) and an LSTM with coupled
input and forget gates (Greff et al. 2017, section 3). They are compared with a loop over rows and steps.
"""

import copy
from typing import Literal, cast

import pytest
import torch
from torch import Tensor

from app.models.cells import COMPUTATIONS, Computation, Weights
from app.models.explain import explain
from app.models.networks import Classifier, EncoderDecoder
from app.models.pieces import at_once
from app.models.recurrent import Recurrent
from app.models.serving import precision
from app.models.serving.precision import Capability, prepare
from app.store.attention import Attention
from app.store.classifier import Classifier as ClassifierConfig
from app.store.decoder import Decoder
from app.store.encoder_decoder import EncoderDecoder as EncoderDecoderConfig
from app.store.encoders import TextEncoder
from app.store.recurrence import CELLS, Cell, CellKind, Recurrence
from tests.models.references import mask_of

MINIMAL, COUPLED = cast(CellKind, "minimal_gated"), cast(CellKind, "coupled_lstm")
VOCABULARY, INPUT, HIDDEN, WIDTH = 40, 6, 18, 9
CPU = torch.device("cpu")


def minimal_gated(
    inputs: Tensor, hidden: Tensor, cell: Tensor | None, weights: Weights
) -> tuple[Tensor, Tensor | None]:
    fresh = inputs @ weights.weight_ih.T + weights.bias_ih
    carried = hidden @ weights.weight_hh.T + weights.bias_hh
    size = hidden.shape[-1]
    forget = torch.sigmoid(fresh[..., :size] + carried[..., :size])
    candidate = torch.tanh(fresh[..., size:] + forget * carried[..., size:])
    return hidden + forget * (candidate - hidden), None


def coupled_lstm(inputs: Tensor, hidden: Tensor, cell: Tensor | None, weights: Weights) -> tuple[Tensor, Tensor | None]:
    assert cell is not None
    sums = inputs @ weights.weight_ih.T + weights.bias_ih + hidden @ weights.weight_hh.T + weights.bias_hh
    forget, candidate, output = sums.chunk(3, -1)
    cell = torch.sigmoid(forget) * cell + (1 - torch.sigmoid(forget)) * torch.tanh(candidate)
    return torch.sigmoid(output) * torch.tanh(cell), cell


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CELLS, MINIMAL, Cell("minimal gated unit", 2))
    monkeypatch.setitem(CELLS, COUPLED, Cell("coupled LSTM", 3, has_cell=True))
    monkeypatch.setitem(COMPUTATIONS, MINIMAL, Computation(minimal_gated))
    monkeypatch.setitem(COMPUTATIONS, COUPLED, Computation(coupled_lstm))


every_kind = pytest.mark.parametrize("kind", [MINIMAL, COUPLED])
capabilities = pytest.mark.parametrize(
    "able",
    [
        precision.capability(),
        precision.capability()._replace(native=()),
        Capability(packed_float16=False, fused_lstm=False, bfloat16=False),
    ],
    ids=["own", "no native kernels", "none"],
)


def recurrence(kind: CellKind, directions: Literal[1, 2] = 1, layers: int = 1) -> Recurrence:
    """Not validated: `CellKind` does not have the kind."""
    return Recurrence.model_construct(
        cell=kind, input_size=INPUT, hidden_size=HIDDEN, layers=layers, directions=directions
    )


def halved(network: Classifier | EncoderDecoder) -> Classifier | EncoderDecoder:
    """Weights that float16 holds exactly."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_((3 * parameter).half())
    return network.eval()


def classifier(kind: CellKind, directions: Literal[1, 2]) -> Classifier:
    encoder = TextEncoder(vocabulary_size=VOCABULARY, recurrence=recurrence(kind, directions))
    network = Classifier(ClassifierConfig(encoder=encoder, pooling=("last", "max", "mean"), labels=3))
    halved(network)
    return network


def translator(kind: CellKind) -> EncoderDecoder:
    encoder = TextEncoder(vocabulary_size=VOCABULARY, recurrence=recurrence(kind))
    decoder = Decoder.model_construct(
        vocabulary_size=VOCABULARY,
        embedding_size=INPUT,
        cell=kind,
        hidden_size=HIDDEN,
        attention=Attention(kind="dot"),
        readout=("hidden", "context"),
        bridge="tanh",
    )
    network = EncoderDecoder(EncoderDecoderConfig(encoder=encoder, decoder=decoder))
    halved(network)
    return network


def logits_of(network: Classifier | EncoderDecoder) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    source = torch.randint(0, VOCABULARY, (3, WIDTH), generator=generator)
    lengths = torch.tensor([5, WIDTH, 2])
    with torch.inference_mode():
        if isinstance(network, Classifier):
            logits: Tensor = network(source, lengths)
            return logits
        state, steps = network.encode(source, lengths), []
        for token in range(4):
            logits, state, _ = network.step(torch.full((3,), token), state)
            steps.append(logits)
        return torch.stack(steps)


@every_kind
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("layers", [1, 2])
@torch.no_grad()
def test_a_padded_batch_equals_a_loop_over_rows_and_steps(
    kind: CellKind, directions: Literal[1, 2], layers: int
) -> None:
    module = Recurrent(recurrence(kind, directions, layers))
    lengths = torch.tensor([4, 1, WIDTH, 6])
    inputs = torch.randn(len(lengths), WIDTH, INPUT)
    outputs, last = module.unroll(inputs, lengths)
    assert (last.cell is not None) == CELLS[kind].has_cell
    for row, length in enumerate(lengths.tolist()):
        features, ends = inputs[row, :length], []
        for weights_of_directions in module.weights_by_layer():
            parts = []
            for direction, weights in enumerate(weights_of_directions):
                hidden, cell = torch.zeros(1, HIDDEN), torch.zeros(1, HIDDEN)
                steps: list[Tensor] = []
                for step in features.flip(0) if direction else features:
                    hidden, following = COMPUTATIONS[kind].step(step.unsqueeze(0), hidden, cell, weights)
                    cell = cell if following is None else following
                    steps.append(hidden[0])
                ends.append((hidden[0], cell[0]))
                parts.append(torch.stack(steps[::-1] if direction else steps))
            features = torch.cat(parts, 1)
        torch.testing.assert_close(outputs[row, :length], features)
        torch.testing.assert_close(last.hidden[row], torch.stack([hidden for hidden, _ in ends]))
        if last.cell is not None:
            torch.testing.assert_close(last.cell[row], torch.stack([cell for _, cell in ends]))


@every_kind
@torch.no_grad()
def test_step_after_step_equals_unroll(kind: CellKind) -> None:
    module = Recurrent(recurrence(kind, layers=2))
    inputs = torch.randn(3, WIDTH, INPUT)
    outputs, last = module.unroll(inputs, torch.full((3,), WIDTH))
    state = module.initial_state(3, inputs)
    for position in range(WIDTH):
        output, state = module.step(inputs[:, position], state)
        torch.testing.assert_close(output, outputs[:, position])
    torch.testing.assert_close(state.hidden, last.hidden)


@every_kind
@capabilities
@pytest.mark.parametrize("chosen", ["auto", "float16", "bfloat16"])
def test_a_serving_form_without_the_cell_leaves_it_in_plain_torch(
    kind: CellKind, able: Capability, chosen: precision.Precision
) -> None:
    for network in (classifier(kind, 1), classifier(kind, 2), translator(kind)):
        expected = logits_of(network)
        served = copy.deepcopy(network)
        words = prepare(served, chosen, CPU, able=able)
        assert isinstance(served.encoder.recurrence, Recurrent)
        packs = able.packed_float16 or bool(able.native)
        assert packs == (f"{CELLS[kind].words} float32 (it has no packed form)" in words)
        torch.testing.assert_close(logits_of(served), expected, rtol=0, atol=5e-2 if "bfloat16" in words else 1e-4)


@every_kind
def test_it_trains(kind: CellKind) -> None:
    network = classifier(kind, 2).train()
    loss = network(torch.randint(0, VOCABULARY, (3, WIDTH)), torch.tensor([5, WIDTH, 2])).square().sum()
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


@every_kind
@pytest.mark.parametrize("directions", [1, 2])
@torch.no_grad()
def test_it_is_explained_without_gates(kind: CellKind, directions: Literal[1, 2]) -> None:
    network = classifier(kind, directions)
    tokens = torch.randint(VOCABULARY, (WIDTH,))
    activations = at_once(explain(network, tokens, 0, None)).directions
    encoded = network.encoder(tokens.unsqueeze(0), torch.tensor([WIDTH]))
    torch.testing.assert_close(torch.cat([one.hidden for one in activations], 1), encoded.memory[0])
    assert all((one.cell is not None) == CELLS[kind].has_cell and not one.gates for one in activations)
    whole = network(tokens.unsqueeze(0), torch.tensor([WIDTH])).softmax(1)
    torch.testing.assert_close(at_once(explain(network, tokens, None, None)).probabilities[-1:], whole)


@every_kind
def test_a_mask_of_real_positions_keeps_padding_out(kind: CellKind) -> None:
    module = Recurrent(recurrence(kind, 2, 2))
    lengths = torch.tensor([4, 1, WIDTH])
    real = mask_of(lengths, WIDTH)
    clean = torch.randn(3, WIDTH, INPUT) * real.unsqueeze(2)
    noisy = clean + 100 * torch.randn_like(clean) * ~real.unsqueeze(2)
    with torch.no_grad():
        outputs, last = module.unroll(clean, lengths)
        noisy_outputs, noisy_last = module.unroll(noisy, lengths)
    assert torch.equal(outputs[real], noisy_outputs[real])
    assert torch.equal(last.hidden, noisy_last.hidden)
