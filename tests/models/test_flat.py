"""The serving form of recurrences on a GPU: the same answers, no copy of weights in a call, and contiguous states."""

from typing import Any, Literal

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from app.models.cells import RecurrentState
from app.models.recurrent import Recurrent
from app.models.serving.flat import FlatRecurrent
from app.store.recurrence import CellKind, Recurrence

CELLS: list[CellKind] = ["rnn_tanh", "rnn_relu", "gru", "lstm"]
INPUT, HIDDEN, SOURCE = 6, 5, 9
LENGTHS = torch.tensor([9, 1, 4, 7])

every_cell = pytest.mark.parametrize("cell", CELLS)
every_direction = pytest.mark.parametrize("directions", [1, 2])


def a_recurrent(cell: CellKind, directions: Literal[1, 2] = 1, layers: int = 2) -> Recurrent:
    torch.manual_seed(3)
    spec = Recurrence(cell=cell, input_size=INPUT, hidden_size=HIDDEN, layers=layers, directions=directions)
    return Recurrent(spec).eval().requires_grad_(False)


def a_state(module: Recurrent) -> RecurrentState:
    spec = module.recurrence
    shape = len(LENGTHS), spec.layers * spec.directions, spec.hidden_size
    return RecurrentState(torch.randn(shape), torch.randn(shape) if spec.cell == "lstm" else None)


def same(found: RecurrentState, expected: RecurrentState) -> None:
    torch.testing.assert_close(found.hidden, expected.hidden, rtol=0, atol=1e-6)
    if expected.cell is not None:
        torch.testing.assert_close(found.cell, expected.cell, rtol=0, atol=1e-6)


@every_cell
@every_direction
def test_it_computes_what_it_is_made_from(cell: CellKind, directions: Literal[1, 2]) -> None:
    module = a_recurrent(cell, directions)
    flat = FlatRecurrent(module)
    inputs, state = torch.randn(len(LENGTHS), SOURCE, INPUT), a_state(module)
    for before in (None, state):
        outputs, last = flat.unroll(inputs, LENGTHS, before)
        expected, expected_last = module.unroll(inputs, LENGTHS, before)
        for row, length in enumerate(LENGTHS.tolist()):
            torch.testing.assert_close(outputs[row, :length], expected[row, :length], rtol=0, atol=1e-6)
        same(last, expected_last)
    if directions == 1:
        output, after = flat.step(inputs[:, 0], state)
        expected, expected_after = module.step(inputs[:, 0], state)
        assert torch.equal(output, expected)
        same(after, expected_after)


class Calls(TorchFunctionMode):
    """Functions of torch that were called, with the tensors that they got."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[str, list[Tensor]]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        self.made.append((getattr(func, "__name__", ""), tensors))
        return func(*args, **(kwargs or {}))


@every_cell
def test_no_call_copies_weights(cell: CellKind) -> None:
    flat = FlatRecurrent(a_recurrent(cell))
    weights = {weight.data_ptr() for weight in flat.buffers()}
    assert len(weights) == 4 * 2, "all of them count as memory: four for each layer"
    with Calls() as calls:
        flat.unroll(torch.randn(len(LENGTHS), SOURCE, INPUT), LENGTHS)
    users = {name for name, tensors in calls.made if weights & {tensor.data_ptr() for tensor in tensors}}
    assert users - {"__get__"} == {cell}


def test_an_lstm_has_inputs_of_a_width_for_tensor_cores() -> None:
    flat = FlatRecurrent(a_recurrent("lstm"))
    assert {weight.shape[1] for name, weight in flat.named_buffers() if name.startswith("weight_ih")} == {8}


@every_cell
@every_direction
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("form", [Recurrent, FlatRecurrent])
def test_states_are_contiguous(cell: CellKind, directions: Literal[1, 2], layers: int, form: type[Recurrent]) -> None:
    """cuDNN refuses others: a state has a row for each layer and direction side by side."""
    module = a_recurrent(cell, directions, layers)
    module = module if form is Recurrent else FlatRecurrent(module)
    for before in (None, a_state(module)):
        with Calls() as calls:
            module.unroll(torch.randn(len(LENGTHS), SOURCE, INPUT), LENGTHS, before)
        kernels = [tensors for name, tensors in calls.made if name == cell]
        assert len(kernels) == layers * directions
        for _, *states in kernels:  # after the inputs come hidden and, of an LSTM, cell
            assert all(state.is_contiguous() for state in states[: 1 + (cell == "lstm")])
