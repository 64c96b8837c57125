"""Cells: one step, and all steps of a padded batch, of one recurrent layer in one direction.

RNN after Elman (1990); LSTM after Hochreiter and Schmidhuber (1997) with forget gates (Gers et al. 2000); GRU after Cho
et al. (2014) as in `torch.nn.GRU`. Parameters have the names and the layout of `torch.nn`, so a state dict of
`torch.nn.LSTM` loads unchanged.

A new kind of cell is an entry in `app.store.recurrence.CELLS` and one in `COMPUTATIONS`, here.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from app.store.recurrence import CellKind

_SATURATED = 1e4  # sigmoid(1e4) is exactly 1 and sigmoid(-1e4) exactly 0, in float32 and bfloat16
_BLOCK = 32  # columns that oneDNN's kernels multiply at once
_ONE_LAYER = (True, 1, 0.0)  # arguments of torch's kernels: biases, layers, dropout


class RecurrentState(NamedTuple):
    """`hidden` and, for cells that have one, `cell`: each (batch, layers * directions, hidden), layer by layer, forward
    before backward."""

    hidden: Tensor
    cell: Tensor | None

    def row(self, row: int) -> tuple[Tensor, Tensor | None]:
        """Hidden and cell (batch, hidden) of one layer and direction."""
        return self.hidden[:, row], None if self.cell is None else self.cell[:, row]


def joined(hiddens: list[Tensor], cells: Sequence[Tensor | None]) -> RecurrentState:
    """Hidden and cell (batch, hidden) of each layer and direction to one state."""
    present = [cell for cell in cells if cell is not None]
    if len(hiddens) == 1:
        return RecurrentState(hiddens[0].unsqueeze(1), present[0].unsqueeze(1) if present else None)
    return RecurrentState(torch.stack(hiddens, 1), torch.stack(present, 1) if present else None)


class Weights(NamedTuple):
    """One layer and direction: (blocks * hidden, input), (blocks * hidden, hidden), two of (blocks * hidden,)."""

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor
    bias_hh: Tensor


Step = Callable[[Tensor, Tensor, Tensor | None, Weights], tuple[Tensor, Tensor | None]]
Unroll = Callable[[Tensor, Tensor, Tensor, Tensor | None, Weights, bool], tuple[Tensor, Tensor | None]]


def _as_they_are(weights: Weights) -> Weights:
    return weights


class Computation(NamedTuple):
    """What a kind of cell computes, for one layer in one direction.

    `step`: inputs (batch, input), hidden and cell (batch, hidden), weights; returns the next hidden and cell.
    `unroll`: all steps in one kernel of torch, if it has one. Inputs (batch, source, input), lengths (batch,), hidden,
    cell, weights after `unroll_weights`, whether it trains; returns outputs (batch, source, hidden) and the cell at
    each row's end. cuDNN wants hidden and cell contiguous.
    """

    step: Step
    unroll: Unroll | None = None
    unroll_weights: Callable[[Weights], Weights] = _as_they_are


def _lstm_step(inputs: Tensor, hidden: Tensor, cell: Tensor | None, weights: Weights) -> tuple[Tensor, Tensor | None]:
    assert cell is not None
    hidden, cell = torch.lstm_cell(inputs, (hidden, cell), *weights)
    return hidden, cell


def _lstm_unroll(
    inputs: Tensor, lengths: Tensor, hidden: Tensor, cell: Tensor | None, weights: Weights, training: bool
) -> tuple[Tensor, Tensor | None]:
    assert cell is not None
    inputs = _with_padding_marked(inputs, lengths, weights.weight_ih.shape[1])
    state = (hidden.unsqueeze(0).contiguous(), cell.unsqueeze(0).contiguous())
    output, _, last = torch.lstm(inputs, state, weights, *_ONE_LAYER, training, bidirectional=False, batch_first=True)
    return output, last.squeeze(0)


def _without_cell(step: Callable[..., Tensor], kernel: Callable[..., tuple[Tensor, Tensor]]) -> Computation:
    """The computation of a cell that has no second tensor of state, by two functions of torch."""

    def unroll(
        inputs: Tensor, lengths: Tensor, hidden: Tensor, cell: Tensor | None, weights: Weights, training: bool
    ) -> tuple[Tensor, Tensor | None]:
        state = hidden.unsqueeze(0).contiguous()
        output, _ = kernel(inputs, state, weights, *_ONE_LAYER, training, bidirectional=False, batch_first=True)
        return output, None

    return Computation(lambda inputs, hidden, cell, weights: (step(inputs, hidden, *weights), None), unroll)


def _with_padding_marked(inputs: Tensor, lengths: Tensor, width: int) -> Tensor:
    """inputs (batch, source, input) with `width` features: the first extra one is 1 on padding, any others are 0."""
    positions = torch.arange(inputs.shape[1], device=inputs.device).unsqueeze(0)
    padding = (positions >= lengths.unsqueeze(1)).unsqueeze(2).to(inputs.dtype)  # batch x source x 1
    zeros = [padding.new_zeros(*padding.shape[:2], more)] if (more := width - inputs.shape[2] - 1) else []
    return torch.cat((inputs, padding, *zeros), 2)


def _frozen_on_padding(weights: Weights) -> Weights:
    """Make an LSTM's cell keep its value on padding, so that the last cell is that of each row's end.

    The extra input feature saturates the gates there: forget at exactly 1, input at exactly 0. That costs some columns
    instead of a packed sequence: one for the gates, and zeros up to a multiple of 32. Without those, oneDNN's kernels
    for bfloat16 take three to five times as long.
    """
    size = weights.weight_hh.shape[1]
    columns = weights.weight_ih.new_zeros(4 * size, _BLOCK - weights.weight_ih.shape[1] % _BLOCK)
    columns[:size, 0] = -_SATURATED
    columns[size : 2 * size, 0] = _SATURATED
    return weights._replace(weight_ih=torch.cat((weights.weight_ih, columns), 1))


COMPUTATIONS: dict[CellKind, Computation] = {
    "rnn_tanh": _without_cell(torch.rnn_tanh_cell, torch.rnn_tanh),
    "rnn_relu": _without_cell(torch.rnn_relu_cell, torch.rnn_relu),
    "gru": _without_cell(torch.gru_cell, torch.gru),
    "lstm": Computation(_lstm_step, _lstm_unroll, _frozen_on_padding),
}


def unroll_by_steps(
    step: Step,
    inputs: Tensor,
    lengths: Tensor,
    hidden: Tensor,
    cell: Tensor | None,
    weights: Weights,
    training: bool,
) -> tuple[Tensor, Tensor | None]:
    """`Computation.unroll` for cells without a kernel of torch."""
    outputs = []
    # Where no row has ended, there is nothing to keep. Asking a GPU would wait for it.
    shortest = int(lengths.min()) if lengths.device.type == "cpu" else 0
    for position in range(inputs.shape[1]):
        hidden, following = step(inputs[:, position], hidden, cell, weights)
        outputs.append(hidden)
        if cell is not None and following is not None:
            ended = position >= shortest
            cell = torch.where((position < lengths).unsqueeze(1), following, cell) if ended else following
    return torch.stack(outputs, 1), cell
