"""Layers in their serving form against the plain ones, with weights that float16 can hold."""

from collections.abc import Callable, Iterator
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from app.models.cells import RecurrentState, Weights
from app.models.recurrent import Recurrent
from app.models.serving.fused import FusedLSTM
from app.models.serving.packed import PackedCell, PackedEmbedding, PackedKind, PackedLinear
from app.models.serving.precision import capability
from app.models.serving.unrolled import PackedLayer, PackedRecurrent
from app.store.recurrence import Recurrence
from tests.models.references import mask_of

WIDTH = 9
Pack = Callable[[Weights, bool], PackedLayer]
CELLS: list[PackedKind] = ["rnn_tanh", "rnn_relu", "gru", "lstm"]

pytestmark = pytest.mark.skipif(not capability().packed_float16, reason="this processor has no FBGEMM")


@pytest.fixture(autouse=True)
def _no_gradient() -> Iterator[None]:
    with torch.inference_mode():
        yield


def halved(module: nn.Module) -> None:
    """Round the weights to float16."""
    for parameter in module.parameters():
        parameter.copy_(parameter.half().float())


def packers(cell: PackedKind) -> dict[str, Pack]:
    """Every way to pack a cell with float32 activations."""
    ways: dict[str, Pack] = {"fbgemm": lambda weights, backward: PackedCell(cell, weights, backward=backward)}
    if cell == "lstm" and capability().fused_lstm:
        ways["onednn"] = lambda weights, backward: FusedLSTM(weights, backward=backward, dtype=torch.float32)
    return ways


def in_bfloat16(weights: Weights, backward: bool) -> PackedLayer:
    return FusedLSTM(weights, backward=backward, dtype=torch.bfloat16)


def random_state(spec: Recurrence, batch: int) -> RecurrentState:
    shape = batch, spec.layers * spec.directions, spec.hidden_size
    return RecurrentState(torch.randn(shape).tanh(), torch.randn(shape) if spec.cell == "lstm" else None)


def rows_of(state: RecurrentState, rows: slice) -> RecurrentState:
    """A copy of some rows."""
    return RecurrentState(state.hidden[rows].clone(), None if state.cell is None else state.cell[rows].clone())


def assert_same(actual: RecurrentState, expected: RecurrentState, tolerance: float) -> None:
    for ours, theirs in zip(actual, expected, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("given", [False, True], ids=["from zeros", "from a state"])
@pytest.mark.parametrize("sizes", [(3, 5), (33, 40)], ids=["small", "odd"])
def test_unroll_equals_the_plain_one(
    cell: PackedKind, directions: Literal[1, 2], layers: int, given: bool, sizes: tuple[int, int]
) -> None:
    spec = Recurrence(cell=cell, input_size=sizes[0], hidden_size=sizes[1], layers=layers, directions=directions)
    plain = Recurrent(spec).eval()
    halved(plain)
    for pack in packers(cell).values():
        packed = PackedRecurrent(plain, pack)
        for batch in (1, 2, 7):
            lengths = torch.randint(1, WIDTH + 1, (batch,))
            inputs = torch.randn(batch, WIDTH, sizes[0])
            start = random_state(spec, batch) if given else None
            outputs, last = packed.unroll(inputs, lengths, start)
            expected, expected_last = plain.unroll(inputs, lengths, start)
            real = mask_of(lengths, WIDTH)
            torch.testing.assert_close(outputs[real], expected[real], rtol=0, atol=1e-5)
            assert not outputs[~real].any()
            assert_same(last, expected_last, 1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_step_equals_the_plain_one(cell: PackedKind, layers: int) -> None:
    spec = Recurrence(cell=cell, input_size=33, hidden_size=40, layers=layers)
    plain = Recurrent(spec).eval()
    halved(plain)
    for pack in packers(cell).values():
        packed = PackedRecurrent(plain, pack)
        for batch in (1, 2, 7, 33):
            inputs, state = torch.randn(batch, 33), random_state(spec, batch)
            kept = inputs.clone(), rows_of(state, slice(None))
            output, following = packed.step(inputs, state)
            expected, expected_following = plain.step(inputs, state)
            torch.testing.assert_close(output, expected, rtol=0, atol=1e-5)
            assert_same(following, expected_following, 1e-5)
            assert torch.equal(inputs, kept[0])  # the inputs do not change
            assert_same(state, kept[1], 0)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("first", [1, 4, 8])
def test_a_source_in_two_parts_equals_the_whole(cell: PackedKind, first: int) -> None:
    spec = Recurrence(cell=cell, input_size=12, hidden_size=20, layers=2)
    plain = Recurrent(spec).eval()
    ways = packers(cell)
    if cell == "lstm" and capability().bfloat16:
        ways["bfloat16"] = in_bfloat16
    for pack in ways.values():
        packed = PackedRecurrent(plain, pack)
        inputs = torch.randn(5, WIDTH, 12)
        whole, last = packed.unroll(inputs, torch.full((5,), WIDTH))
        begin, state = packed.unroll(inputs[:, :first], torch.full((5,), first))
        end, state = packed.unroll(inputs[:, first:], torch.full((5,), WIDTH - first), state)
        torch.testing.assert_close(torch.cat((begin, end), 1), whole, rtol=0, atol=1e-6)
        assert_same(state, last, 1e-6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("size", [20, 160])
def test_a_row_is_the_same_alone_and_among_others(cell: PackedKind, directions: Literal[1, 2], size: int) -> None:
    spec = Recurrence(cell=cell, input_size=size, hidden_size=size, layers=2, directions=directions)
    plain = Recurrent(spec).eval()
    ways = {name: (pack, 1e-6) for name, pack in packers(cell).items()}
    if cell == "lstm" and capability().bfloat16:
        ways["bfloat16"] = in_bfloat16, 0.0
    for pack, tolerance in ways.values():
        packed = PackedRecurrent(plain, pack)
        lengths = torch.randint(1, WIDTH + 1, (11,))
        inputs = torch.randn(11, WIDTH, size)
        outputs, last = packed.unroll(inputs, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone, last_alone = packed.unroll(inputs[row : row + 1, :length], lengths[row : row + 1])
            torch.testing.assert_close(alone[0], outputs[row, :length], rtol=0, atol=tolerance)
            assert_same(last_alone, rows_of(last, slice(row, row + 1)), tolerance)


@pytest.mark.skipif(not capability().bfloat16, reason="this processor has no fast bfloat16")
def test_bfloat16_is_near() -> None:
    spec = Recurrence(cell="lstm", input_size=32, hidden_size=48, layers=2, directions=2)
    plain = Recurrent(spec).eval()
    lengths = torch.randint(1, 41, (6,))
    inputs = torch.randn(6, 40, 32)
    outputs, last = PackedRecurrent(plain, in_bfloat16).unroll(inputs, lengths)
    expected, expected_last = plain.unroll(inputs, lengths)
    real = mask_of(lengths, 40)
    assert outputs.dtype == torch.float32
    torch.testing.assert_close(outputs[real], expected[real], rtol=0, atol=2e-2)
    assert_same(last, expected_last, 2e-2)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1,), (8,), (3, 5), (67,)])
def test_linear_equals_the_plain_one(bias: bool, shape: tuple[int, ...]) -> None:
    linear = nn.Linear(33, 70, bias=bias)
    halved(linear)
    inputs = torch.randn(*shape, 33)
    packed = PackedLinear(linear)
    outputs = packed(inputs)
    torch.testing.assert_close(outputs, linear(inputs), rtol=0, atol=1e-5)
    row: Tensor = packed(inputs.flatten(0, -2)[-1:])
    torch.testing.assert_close(row[0], outputs.flatten(0, -2)[-1], rtol=0, atol=1e-6)  # not equal with AVX2 alone


def test_embedding_equals_the_plain_one() -> None:
    embedding = nn.Embedding(50, 12)
    halved(embedding)
    tokens = torch.randint(0, 50, (3, 7))
    assert torch.equal(PackedEmbedding(embedding)(tokens), embedding(tokens))
