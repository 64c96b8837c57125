"""Recurrent layers against torch.nn's own modules on packed sequences."""

from typing import Literal

import pytest
import torch
from torch import Tensor

from app.models.cells import RecurrentState
from app.models.recurrent import Recurrent, last_of, reverse_within
from app.store.recurrence import CellKind, Recurrence
from tests.models.references import mask_of, torch_module, unroll_packed

CELLS: list[CellKind] = ["rnn_tanh", "rnn_relu", "gru", "lstm"]
INPUT, HIDDEN, WIDTH = 3, 5, 9
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}

every_cell = pytest.mark.parametrize("cell", CELLS)
every_direction = pytest.mark.parametrize("directions", [1, 2])
one_and_two_layers = pytest.mark.parametrize("layers", [1, 2])
both_types = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


def recurrence(cell: CellKind, directions: Literal[1, 2] = 1, layers: int = 1) -> Recurrence:
    return Recurrence(cell=cell, input_size=INPUT, hidden_size=HIDDEN, layers=layers, directions=directions)


def random_lengths(batch: int = 6) -> Tensor:
    """Between 1 and less than WIDTH, in no order, so that every row has padding; one row of length 1."""
    lengths = torch.randint(1, WIDTH, (batch,))
    lengths[2] = 1
    return lengths


def random_state(spec: Recurrence, batch: int, dtype: torch.dtype = torch.float32) -> RecurrentState:
    shape = batch, spec.layers * spec.directions, spec.hidden_size
    hidden = torch.randn(shape, dtype=dtype)
    return RecurrentState(hidden, torch.randn(shape, dtype=dtype) if spec.cell == "lstm" else None)


def assert_same_state(actual: RecurrentState, expected: RecurrentState, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(actual.hidden, expected.hidden, rtol=0, atol=tolerance)
    assert (actual.cell is None) == (expected.cell is None)
    if actual.cell is not None:
        torch.testing.assert_close(actual.cell, expected.cell, rtol=0, atol=tolerance)


@every_cell
@every_direction
@one_and_two_layers
@both_types
@pytest.mark.parametrize("given", [False, True], ids=["from zeros", "from a state"])
@pytest.mark.parametrize("learning", [False, True], ids=["no grad", "grad"])
def test_unroll_equals_packed_torch(
    cell: CellKind, directions: Literal[1, 2], layers: int, dtype: torch.dtype, given: bool, learning: bool
) -> None:
    spec = recurrence(cell, directions, layers)
    reference = torch_module(spec).to(dtype)
    module = Recurrent(spec).to(dtype)
    module.load_state_dict(reference.state_dict())
    for _ in range(3):
        lengths = random_lengths()
        inputs = 3 * torch.randn(len(lengths), WIDTH, INPUT, dtype=dtype)
        state = random_state(spec, len(lengths), dtype) if given else None
        with torch.set_grad_enabled(learning):
            outputs, last = module.unroll(inputs, lengths, state)
            expected_outputs, expected_last = unroll_packed(reference, inputs, lengths, state)
        real = mask_of(lengths, WIDTH)
        assert outputs.shape == expected_outputs.shape
        torch.testing.assert_close(outputs[real], expected_outputs[real], rtol=0, atol=TOLERANCE[dtype])
        assert_same_state(last, expected_last, TOLERANCE[dtype])


@every_cell
@one_and_two_layers
@pytest.mark.parametrize("given", [False, True], ids=["from zeros", "from a state"])
def test_step_after_step_equals_unroll(cell: CellKind, layers: int, given: bool) -> None:
    spec = recurrence(cell, layers=layers)
    module = Recurrent(spec)
    lengths = random_lengths()
    inputs = torch.randn(len(lengths), WIDTH, INPUT)
    start = random_state(spec, len(lengths)) if given else None
    outputs, last = module.unroll(inputs, lengths, start)
    state = start or module.initial_state(len(lengths), inputs)
    for position in range(WIDTH):
        output, state = module.step(inputs[:, position], state)
        real = lengths > position
        torch.testing.assert_close(output[real], outputs[real, position], rtol=0, atol=1e-5)
        ends = lengths == position + 1
        stepped = RecurrentState(state.hidden[ends], None if state.cell is None else state.cell[ends])
        assert_same_state(stepped, RecurrentState(last.hidden[ends], None if last.cell is None else last.cell[ends]))


@every_cell
@every_direction
@one_and_two_layers
def test_state_dict_is_that_of_torch(cell: CellKind, directions: Literal[1, 2], layers: int) -> None:
    spec = recurrence(cell, directions, layers)
    reference = torch_module(spec)
    module = Recurrent(spec)
    expected = {name: values.shape for name, values in reference.state_dict().items()}
    assert {name: values.shape for name, values in module.state_dict().items()} == expected
    module.load_state_dict(reference.state_dict(), strict=True)
    for name, values in reference.state_dict().items():
        assert torch.equal(module.state_dict()[name], values)
    torch_module(spec).load_state_dict(module.state_dict(), strict=True)


@every_cell
@every_direction
@one_and_two_layers
def test_content_of_padding_changes_no_answer(cell: CellKind, directions: Literal[1, 2], layers: int) -> None:
    spec = recurrence(cell, directions, layers)
    module = Recurrent(spec)
    lengths = random_lengths()
    real = mask_of(lengths, WIDTH)
    state = random_state(spec, len(lengths))
    clean = torch.randn(len(lengths), WIDTH, INPUT) * real.unsqueeze(2)
    noisy = clean + 100 * torch.randn_like(clean) * ~real.unsqueeze(2)
    with torch.no_grad():
        outputs, last = module.unroll(clean, lengths, state)
        noisy_outputs, noisy_last = module.unroll(noisy, lengths, state)
    assert torch.equal(outputs[real], noisy_outputs[real])
    assert torch.equal(last.hidden, noisy_last.hidden)
    if last.cell is not None and noisy_last.cell is not None:
        assert torch.equal(last.cell, noisy_last.cell)


@every_cell
@every_direction
@one_and_two_layers
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)], ids=["float32", "bfloat16"]
)
def test_long_padding_changes_no_answer(
    cell: CellKind, directions: Literal[1, 2], layers: int, dtype: torch.dtype, tolerance: float
) -> None:
    spec = recurrence(cell, directions, layers)
    module = Recurrent(spec).to(dtype)
    lengths = random_lengths(4)
    inputs = torch.randn(len(lengths), 60, INPUT, dtype=dtype)
    with torch.no_grad():
        outputs, last = module.unroll(inputs, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone, last_alone = module.unroll(inputs[row : row + 1, :length], lengths[row : row + 1])
            torch.testing.assert_close(outputs[row, :length], alone[0], rtol=0, atol=tolerance)
            cell_of_row = None if last.cell is None else last.cell[row : row + 1]
            assert_same_state(RecurrentState(last.hidden[row : row + 1], cell_of_row), last_alone, tolerance)


@every_cell
@every_direction
@one_and_two_layers
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-11)], ids=["float32", "float64"]
)
def test_gradient_equals_packed_torch(
    cell: CellKind, directions: Literal[1, 2], layers: int, dtype: torch.dtype, tolerance: float
) -> None:
    spec = recurrence(cell, directions, layers)
    reference = torch_module(spec).to(dtype)
    module = Recurrent(spec).to(dtype)
    module.load_state_dict(reference.state_dict())
    lengths = random_lengths()
    real = mask_of(lengths, WIDTH)
    inputs = torch.randn(len(lengths), WIDTH, INPUT, dtype=dtype, requires_grad=True)
    start = random_state(spec, len(lengths), dtype)
    starts = [part.requires_grad_() for part in start if part is not None]
    directions_of_loss = torch.randn(len(lengths), WIDTH, spec.output_size, dtype=dtype), random_state(spec, 6, dtype)

    def gradients(outputs: Tensor, last: RecurrentState, parameters: list[Tensor]) -> tuple[Tensor, ...]:
        of_outputs, of_state = directions_of_loss
        loss = (outputs * of_outputs)[real].sum() + (last.hidden * of_state.hidden).sum()
        if last.cell is not None and of_state.cell is not None:
            loss = loss + (last.cell * of_state.cell).sum()
        return torch.autograd.grad(loss, [inputs, *starts, *parameters])

    names = [name for name, _ in reference.named_parameters()]
    actual = gradients(*module.unroll(inputs, lengths, start), [module.get_parameter(name) for name in names])
    expected = gradients(
        *unroll_packed(reference, inputs, lengths, start), [reference.get_parameter(name) for name in names]
    )
    assert not actual[0][~real].any()  # padding gets no gradient at all
    for ours, theirs in zip(actual, expected, strict=True):
        assert theirs.any()
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@every_cell
@every_direction
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_dropout_acts_between_layers_in_training(cell: CellKind, directions: Literal[1, 2], training: bool) -> None:
    spec = recurrence(cell, directions, layers=2)
    reference = torch_module(spec, dropout=1.0).train(training)  # drops everything: nothing random is left
    module = Recurrent(spec, dropout=1.0).train(training)
    module.load_state_dict(reference.state_dict())
    lengths = random_lengths()
    inputs = torch.randn(len(lengths), WIDTH, INPUT)
    outputs, last = module.unroll(inputs, lengths)
    expected_outputs, expected_last = unroll_packed(reference, inputs, lengths)
    real = mask_of(lengths, WIDTH)
    torch.testing.assert_close(outputs[real], expected_outputs[real], rtol=0, atol=1e-5)
    assert_same_state(last, expected_last)


@every_cell
@every_direction
@one_and_two_layers
def test_initial_state_is_zero_with_one_row_per_layer_and_direction(
    cell: CellKind, directions: Literal[1, 2], layers: int
) -> None:
    module = Recurrent(recurrence(cell, directions, layers))
    state = module.initial_state(7, torch.ones(1, dtype=torch.float64))
    zeros = torch.zeros(7, layers * directions, HIDDEN, dtype=torch.float64)
    assert_same_state(state, RecurrentState(zeros, zeros if cell == "lstm" else None), tolerance=0)


def test_reverse_within_flips_each_row_up_to_its_length() -> None:
    lengths = torch.cat((random_lengths(), torch.tensor([WIDTH])))
    sequence = torch.randn(len(lengths), WIDTH, INPUT)
    reversed_rows = reverse_within(sequence, lengths)
    for row, length in enumerate(lengths.tolist()):
        expected = [*reversed(sequence[row, :length].tolist()), *sequence[row, length:].tolist()]
        assert reversed_rows[row].tolist() == expected


def test_last_of_takes_the_last_real_position() -> None:
    lengths = torch.cat((random_lengths(), torch.tensor([WIDTH])))
    sequence = torch.randn(len(lengths), WIDTH, INPUT)
    expected = [sequence[row, length - 1].tolist() for row, length in enumerate(lengths.tolist())]
    assert last_of(sequence, lengths).tolist() == expected
