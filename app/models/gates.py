"""One step of a cell with its gates, and with any functions in it.

`torch.nn` computes the usual cells (`app.models.cells`); these are the same equations written out, for the functions
that it does not have (`CellSettings`), and for explanations, which show the gates.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from app.models.activations import Function, function_of
from app.models.cells import COMPUTATIONS, Computation, Weights, unroll_by_steps
from app.store.recurrence import CellKind, CellSettings


class Gated(NamedTuple):
    """Hidden and cell (..., hidden) after a step, and each gate after its function, by name."""

    hidden: Tensor
    cell: Tensor | None
    gates: dict[str, Tensor]


class Functions(NamedTuple):
    """The functions of a cell, and where the reset gate of a GRU is."""

    activation: Function
    gate: Function
    reset_after: bool

    @classmethod
    def of(cls, cell: CellSettings) -> "Functions":
        """The functions of a cell."""
        gate = function_of(cell.recurrent_activation)
        return cls(function_of(cell.activation, cell.slope), gate, cell.reset_after)


GatedStep = Callable[[Tensor, Tensor, Tensor | None, Weights], Gated]
Advance = Callable[[Tensor, Tensor, Tensor | None, Weights, Functions], Gated]
"""The product of inputs and weights, with its bias (..., blocks * hidden), hidden, cell, weights, functions."""


def _rnn(projected: Tensor, hidden: Tensor, cell: Tensor | None, weights: Weights, use: Functions) -> Gated:
    return Gated(use.activation(projected + hidden @ weights.weight_hh.T + weights.bias_hh), None, {})


def _gru(projected: Tensor, hidden: Tensor, cell: Tensor | None, weights: Weights, use: Functions) -> Gated:
    """With `reset_after` the equations of `torch.nn.GRU`, otherwise those of Cho et al. (2014, section 2.3)."""
    size = hidden.shape[-1]
    both = 2 * size  # reset and update gate
    carried = hidden @ weights.weight_hh[:both].T + weights.bias_hh[:both]
    reset, update = use.gate(projected[..., :both] + carried).chunk(2, -1)
    of_candidate, bias = weights.weight_hh[both:].T, weights.bias_hh[both:]
    kept = hidden if use.reset_after else reset * hidden
    remembered = kept @ of_candidate + bias
    candidate = use.activation(projected[..., both:] + (reset * remembered if use.reset_after else remembered))
    hidden = (1 - update) * candidate + update * hidden
    return Gated(hidden, None, {"reset": reset, "update": update, "candidate": candidate})


def _lstm(projected: Tensor, hidden: Tensor, cell: Tensor | None, weights: Weights, use: Functions) -> Gated:
    """The equations of `torch.nn.LSTM`."""
    assert cell is not None
    sums = projected + hidden @ weights.weight_hh.T + weights.bias_hh
    entering, forgetting, candidate, leaving = sums.chunk(4, -1)
    gates = {
        "input": use.gate(entering),
        "forget": use.gate(forgetting),
        "candidate": use.activation(candidate),
        "output": use.gate(leaving),
    }
    cell = gates["forget"] * cell + gates["input"] * gates["candidate"]
    return Gated(gates["output"] * use.activation(cell), cell, gates)


_ADVANCES: dict[CellKind, Advance] = {"rnn_tanh": _rnn, "gru": _gru, "lstm": _lstm}


def projected(inputs: Tensor, weights: Weights) -> Tensor:
    """inputs (..., input) times their weights, with the first bias: (..., blocks * hidden)."""
    return inputs @ weights.weight_ih.T + weights.bias_ih


def gated_step(cell: CellSettings) -> GatedStep | None:
    """A step of a cell, from what `projected` returns; None for a kind of cell whose gates are not known here."""
    if (advance := _ADVANCES.get(cell.cell)) is None:
        return None
    functions = Functions.of(cell)
    return lambda inputs, hidden, before, weights: advance(inputs, hidden, before, weights, functions)


def shown_step(cell: CellSettings) -> GatedStep:
    """A step of any cell, from its inputs (..., input); the gates of a kind that are not known here are left out."""
    step, plain = gated_step(cell), COMPUTATIONS[cell.cell].step

    def shown(inputs: Tensor, hidden: Tensor, before: Tensor | None, weights: Weights) -> Gated:
        if step is not None:
            return step(projected(inputs, weights), hidden, before, weights)
        return Gated(*plain(inputs, hidden, before, weights), {})

    return shown


def computation_of(cell: CellSettings) -> Computation:
    """How a cell is computed: by `torch.nn`, or by the steps here where that lacks a function."""
    if cell.is_usual:
        return COMPUTATIONS[cell.cell]
    gated = gated_step(cell)
    assert gated is not None  # see `CellSettings`

    def advance(fresh: Tensor, hidden: Tensor, before: Tensor | None, weights: Weights) -> tuple[Tensor, Tensor | None]:
        after = gated(fresh, hidden, before, weights)
        return after.hidden, after.cell

    def step(inputs: Tensor, hidden: Tensor, before: Tensor | None, weights: Weights) -> tuple[Tensor, Tensor | None]:
        return advance(projected(inputs, weights), hidden, before, weights)

    def unroll(
        inputs: Tensor, lengths: Tensor, hidden: Tensor, before: Tensor | None, weights: Weights, training: bool
    ) -> tuple[Tensor, Tensor | None]:
        fresh = projected(inputs, weights)  # of all steps at once
        return unroll_by_steps(advance, fresh, lengths, hidden, before, weights, training)

    return Computation(step, unroll)
