"""The native kernels against torch's modules in float64, on every instruction set that this processor has."""

from typing import Literal

import pytest
import torch
from torch import Tensor

from app.engine.sampling import uniform
from app.models.cells import RecurrentState, Weights
from app.models.recurrent import Recurrent
from app.models.serving.native import (
    Level,
    NativeCell,
    NativeLinear,
    NativeRecurrent,
    attend,
    available,
    draw,
    levels,
    most_probable,
    multiplies_pairs,
)
from app.models.serving.native.cell import NativeKind
from app.models.serving.native.matrix import Matrix, activated
from app.store.recurrence import CELLS, Recurrence
from tests.models.references import torch_module, unroll_packed

pytestmark = pytest.mark.skipif(
    not available(), reason="native kernels not built (no C compiler), or a processor without AVX2"
)
KINDS: list[NativeKind] = ["rnn_tanh", "rnn_relu", "gru", "lstm"]
LEVELS = levels()
INPUT, SOURCE = 11, 9

every_cell = pytest.mark.parametrize("cell", KINDS)
every_level = pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)
needs_bfloat16 = pytest.mark.skipif(not multiplies_pairs(), reason="this processor has no bfloat16 products")
odd_sizes = pytest.mark.parametrize("size", [1, 9, 14, 33, 64, 65])


def recurrent(cell: NativeKind, size: int, directions: Literal[1, 2] = 2, layers: int = 2) -> Recurrent:
    """Weights that float16 holds exactly."""
    spec = Recurrence(cell=cell, input_size=INPUT, hidden_size=size, layers=layers, directions=directions)
    module = Recurrent(spec).requires_grad_(False)
    for weights in module.parameters():
        weights.copy_(weights.half())
    return module


def random_state(spec: Recurrence, rows: int) -> RecurrentState:
    shape = rows, spec.layers * spec.directions, spec.hidden_size
    return RecurrentState(torch.randn(shape), torch.randn(shape) if spec.cell == "lstm" else None)


def random_lengths(rows: int) -> Tensor:
    lengths = torch.randint(1, SOURCE + 1, (rows,))
    lengths[rows // 2] = SOURCE
    return lengths


def same(first: RecurrentState, second: RecurrentState) -> bool:
    both_none = first.cell is None and second.cell is None
    cells = both_none or (first.cell is not None and second.cell is not None and torch.equal(first.cell, second.cell))
    return torch.equal(first.hidden, second.hidden) and cells


def assert_like_torch(module: Recurrent, native: NativeRecurrent, rows: int) -> None:
    """A ragged batch with a state carried in, against torch's module on a packed sequence."""
    spec = module.recurrence
    inputs, lengths, state = torch.randn(rows, SOURCE, INPUT), random_lengths(rows), random_state(spec, rows)
    reference = torch_module(spec).double()
    reference.load_state_dict(module.state_dict())
    before = RecurrentState(state.hidden.double(), None if state.cell is None else state.cell.double())
    expected, last = unroll_packed(reference, inputs.double(), lengths, before)
    outputs, state = native.unroll(inputs, lengths, state)
    torch.testing.assert_close(outputs.double(), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(state.hidden.double(), last.hidden, atol=1e-5, rtol=0)
    if state.cell is not None:
        assert last.cell is not None
        torch.testing.assert_close(state.cell.double(), last.cell, atol=1e-5, rtol=0)


@every_level
@odd_sizes
@every_cell
def test_like_torch(cell: NativeKind, size: int, level: Level) -> None:
    module = recurrent(cell, size)
    assert_like_torch(module, NativeRecurrent(module, level=level), rows=5)


@every_level
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 6, 7, 13, 200])
@every_cell
def test_any_number_of_rows(cell: NativeKind, rows: int, level: Level) -> None:
    module = recurrent(cell, 40, layers=1)
    assert_like_torch(module, NativeRecurrent(module, level=level), rows=rows)


@every_level
@every_cell
def test_float32_weights(cell: NativeKind, level: Level) -> None:
    module = recurrent(cell, 33)
    for weights in module.parameters():
        weights.normal_(std=0.15)
    assert_like_torch(module, NativeRecurrent(module, dtype=torch.float32, level=level), rows=8)


@every_level
@every_cell
def test_alone_equals_batched(cell: NativeKind, level: Level) -> None:
    """Bit for bit, in any tile, and beside a row of NaN."""
    module = recurrent(cell, 47)
    native = NativeRecurrent(module, level=level)
    rows = 14
    inputs, lengths, state = (
        torch.randn(rows, SOURCE, INPUT),
        random_lengths(rows),
        random_state(native.recurrence, rows),
    )
    inputs[3] = torch.nan
    outputs, last = native.unroll(inputs, lengths, state)
    for row in range(rows):
        only = slice(row, row + 1)
        mine = RecurrentState(state.hidden[only], None if state.cell is None else state.cell[only])
        alone, alone_last = native.unroll(inputs[only], lengths[only], mine)
        if row == 3:
            assert alone[:, : lengths[row]].isnan().all()
            assert outputs[row, : lengths[row]].isnan().all()
        else:
            assert torch.equal(alone[0], outputs[row])
            batched = RecurrentState(last.hidden[only], None if last.cell is None else last.cell[only])
            assert same(alone_last, batched)


@every_level
@every_cell
def test_steps_equal_unroll(cell: NativeKind, level: Level) -> None:
    module = recurrent(cell, 21, directions=1)
    native = NativeRecurrent(module, level=level)
    inputs = torch.randn(7, SOURCE, INPUT)
    before = state = random_state(native.recurrence, 7)
    untouched = RecurrentState(before.hidden.clone(), None if before.cell is None else before.cell.clone())
    outputs, last = native.unroll(inputs, torch.full((7,), SOURCE), before)
    assert same(before, untouched)
    for position in range(SOURCE):
        output, state = native.step(inputs[:, position], state)
        assert torch.equal(output, outputs[:, position])
    assert same(state, last)


@every_cell
def test_padding_is_neither_read_nor_written(cell: NativeKind) -> None:
    native = NativeRecurrent(recurrent(cell, 21))
    inputs, lengths = torch.randn(5, SOURCE, INPUT), random_lengths(5)
    outputs, state = native.unroll(inputs, lengths)
    padding = torch.arange(SOURCE).unsqueeze(0) >= lengths.unsqueeze(1)
    inputs[padding] = torch.nan
    again, again_state = native.unroll(inputs, lengths)
    assert torch.equal(outputs, again)
    assert same(state, again_state)
    assert (outputs[padding] == 0).all()


def test_no_rows() -> None:
    native = NativeRecurrent(recurrent("lstm", 9))
    outputs, state = native.unroll(torch.empty(0, SOURCE, INPUT), torch.empty(0, dtype=torch.int64))
    assert outputs.shape == (0, SOURCE, 18)
    assert state.hidden.shape == (0, 4, 9)


@every_cell
@pytest.mark.parametrize("backward", [False, True])
def test_time_first_and_a_row_of_no_steps(cell: NativeKind, backward: bool) -> None:
    """One layer gives the same result for (time, rows) and (rows, time). A row without steps keeps its state."""
    native = single(cell, size=9)
    inputs, lengths, rows = torch.randn(4, 3, INPUT), torch.tensor([3, 0, 1, 2]), torch.arange(4)
    hidden, memory = torch.randn(4, 9), torch.randn(4, 9) if cell == "lstm" else None
    outputs, turned = torch.zeros(12, 9), torch.zeros(12, 9)
    gates = native.project(inputs.view(12, INPUT))
    last = native.unroll(gates, 3 * rows, lengths, hidden, memory, outputs, backward=backward)
    gates = native.project(inputs.transpose(0, 1).reshape(12, INPUT))
    other = native.unroll(gates, rows, lengths, hidden, memory, turned, time_stride=4, backward=backward)
    assert torch.equal(outputs.view(4, 3, 9), turned.view(3, 4, 9).transpose(0, 1))
    assert torch.equal(last[0], other[0])
    assert torch.equal(last[0][1], hidden[1])
    assert (outputs[3:6] == 0).all()
    if memory is not None and last[1] is not None:
        assert torch.equal(last[1][1], memory[1])


def single(cell: NativeKind, size: int) -> NativeCell:
    rows = CELLS[cell].blocks * size
    weights = Weights(torch.randn(rows, INPUT), torch.randn(rows, size), torch.randn(rows), torch.randn(rows))
    return NativeCell(cell, weights)


@every_level
@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_activation_is_exact_to_float32(name: Literal["sigmoid", "tanh"], level: Level) -> None:
    small = torch.logspace(-30, 1.4, 2001)
    values = torch.cat((torch.linspace(-30, 30, 600_011), small, -small))
    exact = getattr(torch, name)(values.double())
    wrong = (activated(name, values, level).double() - exact).abs() / exact.abs().clamp(min=1e-38)
    assert wrong.max() <= 2e-7


@every_level
@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_activation_of_the_infinite(name: Literal["sigmoid", "tanh"], level: Level) -> None:
    values = torch.tensor([torch.inf, -torch.inf, 1e4, -1e4, 88.5, -88.5, 0.0, -0.0, torch.nan])
    torch.testing.assert_close(
        activated(name, values, level), getattr(torch, name)(values), atol=1e-37, rtol=0, equal_nan=True
    )


@every_level
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=["float16", "float32"])
@pytest.mark.parametrize(("size", "depth"), [(1, 1), (9, 14), (63, 3), (64, 33), (65, 7), (129, 40), (300, 1)])
def test_linear(size: int, depth: int, dtype: torch.dtype, level: Level) -> None:
    weight, bias = torch.randn(size, depth).to(dtype).float(), torch.randn(size)
    linear = NativeLinear(weight, bias, dtype=dtype, level=level)
    inputs = torch.randn(23, depth)
    outputs = linear(inputs)
    exact = torch.nn.functional.linear(inputs.double(), weight.double(), bias.double())
    torch.testing.assert_close(outputs.double(), exact, atol=2e-5, rtol=1e-5)
    for row in range(23):
        assert torch.equal(linear(inputs[row : row + 1])[0], outputs[row])
    assert linear(inputs[:0]).shape == (0, size)


def test_linear_of_any_shape() -> None:
    weight = torch.randn(20, 6).half().float()
    linear = NativeLinear(weight, None)
    inputs = torch.randn(2, 3, 6)
    torch.testing.assert_close(linear(inputs), inputs @ weight.T)
    torch.testing.assert_close(linear(inputs[0, 0]), inputs[0, 0] @ weight.T)
    torch.testing.assert_close(linear(inputs[:, 1]), inputs[:, 1] @ weight.T)


def test_wrong_inputs_are_refused() -> None:
    native = single("lstm", size=9)
    hidden, gates, outputs = torch.zeros(2, 9), native.project(torch.zeros(6, INPUT)), torch.zeros(6, 9)
    firsts, lengths = torch.tensor([0, 3]), torch.tensor([3, 3])
    with pytest.raises(TypeError, match="float32"):
        native.project(torch.zeros(6, INPUT).double())
    with pytest.raises(ValueError, match="inputs must be"):
        native.project(torch.zeros(6, INPUT + 1))
    with pytest.raises(ValueError, match="contiguous"):
        native.project(torch.zeros(INPUT, 6).T)
    with pytest.raises(ValueError, match="has a cell"):
        native.unroll(gates, firsts, lengths, hidden, None, outputs)
    with pytest.raises(ValueError, match="int64"):
        native.unroll(gates, firsts, lengths.int(), hidden, hidden, outputs)
    with pytest.raises(ValueError, match="rows of inputs"):
        native.step(torch.zeros(3, INPUT), hidden, hidden)
    for outside in (torch.tensor([0, 4]), torch.tensor([-1, 3])):
        with pytest.raises(ValueError, match="outside"):
            native.unroll(gates, outside, lengths, hidden, hidden, outputs)
    with pytest.raises(TypeError, match="float16, float32, bfloat16 or int8"):
        NativeLinear(torch.zeros(2, 2), None, dtype=torch.int16)
    with pytest.raises(RuntimeError, match="no bfloat16 kernel"):
        NativeLinear(torch.zeros(2, 2), None, dtype=torch.bfloat16, level=LEVELS[0])


@needs_bfloat16
@pytest.mark.parametrize(("size", "depth"), [(1, 1), (9, 14), (63, 3), (64, 33), (65, 7), (129, 40), (300, 1)])
def test_linear_in_bfloat16(size: int, depth: int) -> None:
    """Factors are rounded, sums are not. A row does not depend on others, at an odd depth and beside NaN, too."""
    weight, bias = torch.randn(size, depth), torch.randn(size)
    linear = NativeLinear(weight, bias, dtype=torch.bfloat16)
    inputs = torch.randn(100, depth)
    inputs[3] = torch.nan
    outputs = linear(inputs)
    exact = torch.nn.functional.linear(inputs.bfloat16().double(), weight.bfloat16().double(), bias.double())
    torch.testing.assert_close(outputs.double(), exact, atol=2e-5, rtol=1e-5, equal_nan=True)
    for row in (0, 2, 4, 95, 96, 99):
        assert torch.equal(linear(inputs[row : row + 1])[0], outputs[row])


@needs_bfloat16
@odd_sizes
@every_cell
def test_recurrence_in_bfloat16(cell: NativeKind, size: int) -> None:
    """Near float32, and every row equal to itself alone, bit for bit."""
    module = recurrent(cell, size)
    native = NativeRecurrent(module, dtype=torch.bfloat16)
    rows = 14
    inputs, lengths, state = (
        torch.randn(rows, SOURCE, INPUT),
        random_lengths(rows),
        random_state(native.recurrence, rows),
    )
    expected, _ = NativeRecurrent(module, dtype=torch.float32).unroll(inputs, lengths, state)
    outputs, last = native.unroll(inputs, lengths, state)
    torch.testing.assert_close(outputs, expected, atol=4e-2, rtol=2e-2)
    assert not torch.equal(outputs, expected)
    for row in range(rows):
        only = slice(row, row + 1)
        mine = RecurrentState(state.hidden[only], None if state.cell is None else state.cell[only])
        alone, alone_last = native.unroll(inputs[only], lengths[only], mine)
        assert torch.equal(alone[0], outputs[row])
        assert same(alone_last, RecurrentState(last.hidden[only], None if last.cell is None else last.cell[only]))


@every_level
@pytest.mark.parametrize(("key_size", "memory_size"), [(1, 5), (16, 16), (37, 70)])
def test_attention_reads_a_rows_own_positions_only(key_size: int, memory_size: int, level: Level) -> None:
    """Views cut from longer storage, with NaN past each row's end."""
    rows, source = 5, 9
    lengths = torch.tensor([9, 1, 4, 9, 2])
    mask = torch.arange(12) < lengths.unsqueeze(1)
    query, keys, memory = (
        torch.randn(rows, key_size),
        torch.randn(rows, 12, key_size),
        torch.randn(rows, 12, memory_size),
    )
    scores = (keys @ query.unsqueeze(2)).squeeze(2).masked_fill(~mask, float("-inf"))
    expected = scores.softmax(1)
    expected_context = (expected.unsqueeze(1) @ memory).squeeze(1)
    keys[~mask], memory[~mask] = torch.nan, torch.nan
    context, weights = attend(query, keys[:, :source], memory[:, :source], mask[:, :source], level=level)
    torch.testing.assert_close(weights, expected[:, :source])
    torch.testing.assert_close(context, expected_context, atol=1e-5, rtol=1e-4)
    for row in range(rows):
        only = slice(row, row + 1)
        alone = attend(query[only], keys[only, :source], memory[only, :source], mask[only, :source], level=level)
        assert torch.equal(alone[0][0], context[row])


def test_attention_refuses_what_does_not_fit() -> None:
    query, keys, mask = torch.zeros(2, 3), torch.zeros(2, 4, 3), torch.ones(2, 4, dtype=torch.bool)
    with pytest.raises(ValueError, match="query must be"):
        attend(query[:, :2], keys, keys, mask)
    with pytest.raises(ValueError, match="rows of query"):
        attend(query[:1], keys, keys, mask)
    with pytest.raises(ValueError, match="memory must be"):
        attend(query, keys, keys[:, :3], mask)
    with pytest.raises(ValueError, match="mask must be"):
        attend(query, keys, keys, mask.long())


@every_level
@pytest.mark.parametrize("vocabulary", [1, 7, 64, 129, 1000, 8000])
def test_most_probable(vocabulary: int, level: Level) -> None:
    logits = 10 * torch.randn(30, vocabulary)
    logits[1] = logits[1].round()  # equal ones: the first counts
    logits[2, : vocabulary // 2] = float("-inf")
    tokens, log_probs = most_probable(logits, level=level)
    torch.testing.assert_close(log_probs, logits.double().log_softmax(1).amax(1).float(), atol=2e-6, rtol=1e-5)
    assert tokens.tolist() == [row.tolist().index(row.max().item()) for row in logits]
    for row in range(30):
        alone = most_probable(logits[row : row + 1], level=level)
        assert torch.equal(alone[0][0], tokens[row])
        assert torch.equal(alone[1][0], log_probs[row])


@every_level
@pytest.mark.parametrize("place", [0, 5, 15, 16, 127, 128, 199])
def test_most_probable_of_what_is_no_number(place: int, level: Level) -> None:
    logits = torch.randn(2, 200)
    logits[0, place] = torch.nan
    tokens, log_probs = most_probable(logits, level=level)
    assert log_probs.isnan().tolist() == [True, False]
    assert 0 <= int(tokens[0]) < 200


def drawn(logits: Tensor, level: Level, *, draws: int = 1, **options: float) -> Tensor:
    """Tokens (rows, draws) of logits, with the seeds 0, 1, 2 and so on."""
    rows = torch.arange(len(logits)).repeat_interleave(draws)
    count = len(rows)
    return draw(
        logits,
        rows,
        torch.zeros(count, dtype=torch.long),
        seed=torch.arange(count),
        temperature=torch.full((count,), options.get("temperature", 1.0)),
        top_k=torch.full((count,), int(options.get("top_k", 0))),
        top_p=torch.full((count,), options.get("top_p", 1.0)),
        min_p=torch.full((count,), options.get("min_p", 0.0)),
        level=level,
    ).view(len(logits), draws)


def kept_tokens(
    logits: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0
) -> Tensor:
    """The probabilities (vocabulary,) of a row after all cuts, by sorting all of it."""
    ordered, tokens = (logits.double() / temperature).softmax(0).sort(descending=True, stable=True)
    kept = ordered.clone()
    if top_k:
        kept[top_k:] = 0
    before = kept.cumsum(0) - kept
    kept[1:][before[1:] >= top_p * kept.sum()] = 0
    kept[kept < min_p * ordered[0]] = 0
    return torch.zeros_like(kept).scatter(0, tokens, kept / kept.sum())


CUTS: list[dict[str, float]] = [
    {},
    {"temperature": 0.7},
    {"top_k": 40},
    {"top_k": 1},
    {"top_p": 0.9},
    {"top_p": 0.05},
    {"min_p": 0.02},
    {"temperature": 1.6, "top_k": 200, "top_p": 0.95, "min_p": 0.001},
]


@every_level
@pytest.mark.parametrize("vocabulary", [1, 7, 129, 1000, 8000])
@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_draw(vocabulary: int, cuts: dict[str, float], level: Level) -> None:
    """Each token is the one at which the cumulative distribution, computed by sorting in float64, passes the uniform
    number of its seed and step."""
    torch.manual_seed(vocabulary)
    logits = 3 * torch.randn(6, vocabulary)
    logits[1, : vocabulary // 2] = float("-inf")
    tokens = drawn(logits, level, draws=50, **cuts)
    shares = uniform(torch.arange(300), torch.zeros(300, dtype=torch.long)).view(6, 50)
    for row, found, share in zip(logits, tokens, shares, strict=True):
        cumulative = kept_tokens(row, **cuts).cumsum(0)  # type: ignore[arg-type]
        low = torch.where(found > 0, cumulative[(found - 1).clamp(min=0)], 0.0)
        assert bool(((low - 1e-5 <= share) & (share <= cumulative[found] + 1e-5)).all())
        assert bool((kept_tokens(row, **cuts)[found] > 0).float().mean() > 0.97)  # type: ignore[arg-type]


@every_level
def test_draw_of_equal_logits_keeps_the_first(level: Level) -> None:
    flat = torch.zeros(1, 1000)
    assert set(drawn(flat, level, draws=500, top_k=3).flatten().tolist()) == {0, 1, 2}
    assert set(drawn(flat, level, draws=500, top_p=0.0025).flatten().tolist()) == {0, 1, 2}
    assert len(set(drawn(flat, level, draws=500, min_p=1.0).flatten().tolist())) > 300


@every_level
def test_draw_never_takes_what_is_excluded(level: Level) -> None:
    logits = torch.full((4, 300), float("-inf"))
    logits[:, [17, 290]] = torch.tensor([1.0, 0.5])
    assert set(drawn(logits, level, draws=300, temperature=5.0).flatten().tolist()) == {17, 290}
    assert set(drawn(logits, level, draws=300, temperature=1e-39).flatten().tolist()) == {17}
    logits[0] = torch.nan
    assert bool(((drawn(logits, level) >= 0) & (drawn(logits, level) < 300)).all())


@every_level
@odd_sizes
@pytest.mark.parametrize("depth", [1, 15, 64, 129])
def test_8_bits_are_near_and_exact_in_their_own_numbers(depth: int, size: int, level: Level) -> None:
    """The products are those of the rounded weights and factors; a row is the same alone and beside others."""
    weight, bias, inputs = torch.randn(size, depth), torch.randn(size), torch.randn(13, depth)
    inputs[4] = 0
    native = NativeLinear(weight, bias, dtype=torch.int8, level=level)
    outputs = native(inputs)
    scales, largest = weight.abs().amax(1) / 127, inputs.abs().amax(1, keepdim=True)
    factors = (inputs * (127 / largest.clamp(min=1e-30))).round()
    sums = factors.double() @ (weight / scales.unsqueeze(1)).round().double().T
    expected = sums * (largest / 127).double() * scales.double() + bias.double()
    off = (outputs.double() - expected).abs()
    one = (largest / 127) * 127 * scales  # a factor between two numbers may be rounded to either
    assert (off <= one.double() + 1e-4).all()
    assert (off < 1e-3).double().mean() > 0.9
    torch.testing.assert_close(outputs, inputs @ weight.T + bias, rtol=0, atol=0.04 * (depth**0.5) + 0.1)
    for row in range(13):
        assert torch.equal(native(inputs[row : row + 1])[0], outputs[row])


@every_level
@every_cell
def test_a_cell_in_8_bits_is_near(cell: NativeKind, level: Level) -> None:
    module = recurrent(cell, 70)
    inputs, lengths, state = torch.randn(9, SOURCE, INPUT), random_lengths(9), random_state(module.recurrence, 9)
    native = NativeRecurrent(module, dtype=torch.int8, level=level)
    outputs, _ = native.unroll(inputs, lengths, state)
    expected, _ = NativeRecurrent(module, dtype=torch.float32, level=level).unroll(inputs, lengths, state)
    torch.testing.assert_close(outputs, expected, rtol=0.05 if cell == "rnn_relu" else 0, atol=0.1)
    for row in range(9):
        only = slice(row, row + 1)
        mine = RecurrentState(state.hidden[only], None if state.cell is None else state.cell[only])
        assert torch.equal(native.unroll(inputs[only], lengths[only], mine)[0][0], outputs[row])


@every_level
def test_8_bits_of_numbers_that_are_not_finite(level: Level) -> None:
    inputs = torch.randn(5, 40)
    inputs[1, 7], inputs[3, 39] = torch.nan, torch.inf
    outputs = NativeLinear(torch.randn(30, 40), None, dtype=torch.int8, level=level)(inputs)
    assert not outputs[[1, 3]].isfinite().any()
    assert outputs[[0, 2, 4]].isfinite().all()


def test_weights_with_too_many_inputs_for_8_bits_stay_float32() -> None:
    weight, inputs = torch.randn(2, 65537), torch.randn(1, 65537)
    found = NativeLinear(weight, None, dtype=torch.int8)(inputs)
    torch.testing.assert_close(found, inputs @ weight.T, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.int8])
def test_packing_keeps_neither_the_original_nor_a_copy(dtype: torch.dtype) -> None:
    """An empty view of the weights once kept all of them, in float32, beside the packed ones."""
    kept = vars(Matrix(torch.randn(64, 64), gates=1, dtype=dtype, level=None)).values()
    tensors = [one for one in kept if isinstance(one, Tensor)]
    assert len(tensors) == 3  # the weights, scales and offsets
    assert all(tensor.untyped_storage().nbytes() == tensor.nbytes for tensor in tensors)
    layer = NativeLinear(torch.randn(64, 64), None, dtype=dtype)
    module = NativeRecurrent(recurrent("lstm", 64), dtype=dtype)
    for packed, weights in ((layer, 64 * 64), (module, sum(one.numel() for one in recurrent("lstm", 64).parameters()))):
        shown = sum(buffer.nbytes for buffer in packed.buffers())
        assert shown == pytest.approx(dtype.itemsize * weights, rel=0.1)  # for `Models.bytes`
