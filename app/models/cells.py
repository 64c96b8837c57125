"""Recurrent layers: one step of a cell, and its unrolling over a padded batch.

RNN after Elman (1990); LSTM after Hochreiter and Schmidhuber (1997) with forget gates (Gers et al. 2000);
GRU after Cho et al. (2014) in the variant of `torch.nn.GRU`. Parameters have `torch.nn`'s names and
layout, so a `torch.nn.LSTM` state dict loads as it is. Modules hold weights only: state comes in and goes out.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from app.store.architecture import CellKind, Recurrence

GATES: dict[CellKind, int] = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}
_BLOCK = 32  # columns of a matrix that oneDNN's kernels take at once
_SATURATED = 1e4  # sigmoid(1e4) is exactly 1 and sigmoid(-1e4) exactly 0, in float32 and bfloat16


class RecurrentState(NamedTuple):
    """`hidden` and, for an LSTM, `cell`: each (batch, layers * directions, hidden), layer by layer,
    forward before backward."""

    hidden: Tensor
    cell: Tensor | None


class Weights(NamedTuple):
    """One layer and direction: (gates * hidden, input), (gates * hidden, hidden), two of (gates * hidden,)."""

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor
    bias_hh: Tensor


def step_cell(
    kind: CellKind, inputs: Tensor, hidden: Tensor, cell: Tensor | None, weights: Weights
) -> tuple[Tensor, Tensor | None]:
    """One step of one layer: inputs (batch, input), hidden and cell (batch, hidden)."""
    if kind == "lstm":
        assert cell is not None
        hidden, cell = torch.lstm_cell(inputs, (hidden, cell), *weights)
        return hidden, cell
    if kind == "gru":
        return torch.gru_cell(inputs, hidden, *weights), None
    if kind == "rnn_tanh":
        return torch.rnn_tanh_cell(inputs, hidden, *weights), None
    return torch.rnn_relu_cell(inputs, hidden, *weights), None


def zero_state(spec: Recurrence, batch: int, like: Tensor) -> RecurrentState:
    """The state before the first step of `batch` rows, of the type and on the device of `like`."""
    zeros = like.new_zeros(batch, spec.layers * spec.directions, spec.hidden_size)
    return RecurrentState(zeros, zeros.clone() if spec.cell == "lstm" else None)


def reverse_within(sequence: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each row within its length; the padding on the right stays: (batch, source, features)."""
    positions = torch.arange(sequence.shape[1], device=sequence.device).unsqueeze(0)  # 1 x source
    mirrored = lengths.unsqueeze(1) - 1 - positions  # batch x source
    index = torch.where(mirrored >= 0, mirrored, positions)
    return sequence.gather(1, index.unsqueeze(2).expand_as(sequence))


def last_of(sequence: Tensor, lengths: Tensor) -> Tensor:
    """The output at each row's last real position: (batch, source, features) to (batch, features)."""
    index = (lengths - 1).view(-1, 1, 1).expand(-1, 1, sequence.shape[2])
    return sequence.gather(1, index).squeeze(1)


class Recurrent(nn.Module):
    """A stack of recurrent layers as `Recurrence` describes it. `dropout` (a rate) acts between layers, in training."""

    def __init__(self, recurrence: Recurrence, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.recurrence = recurrence
        self.dropout = dropout
        rows = GATES[recurrence.cell] * recurrence.hidden_size
        bound = recurrence.hidden_size**-0.5
        for layer in range(recurrence.layers):
            width = recurrence.input_size if layer == 0 else recurrence.output_size
            for suffix in self._suffixes(layer):
                for name, shape in (
                    ("weight_ih", (rows, width)),
                    ("weight_hh", (rows, recurrence.hidden_size)),
                    ("bias_ih", (rows,)),
                    ("bias_hh", (rows,)),
                ):
                    values = torch.empty(shape).uniform_(-bound, bound)
                    self.register_parameter(name + suffix, nn.Parameter(values))

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"][: self.recurrence.directions]

    def _weights(self, suffix: str) -> Weights:
        return Weights(*(self.get_parameter(name + suffix) for name in Weights._fields))

    def weights_by_layer(self) -> list[list[Weights]]:
        """One list per layer, with the weights of each direction."""
        return [[self._weights(suffix) for suffix in self._suffixes(layer)] for layer in range(self.recurrence.layers)]

    def initial_state(self, batch: int, like: Tensor) -> RecurrentState:
        """Zeros for `batch` rows, of the type and on the device of `like`."""
        return zero_state(self.recurrence, batch, like)

    def step(self, inputs: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """One step of all layers, one direction only: inputs (batch, input) to outputs (batch, hidden)."""
        assert self.recurrence.directions == 1
        hiddens, cells = [], []
        for layer in range(self.recurrence.layers):
            cell = None if state.cell is None else state.cell[:, layer]
            weights = self._weights(f"_l{layer}")
            inputs, cell = step_cell(self.recurrence.cell, inputs, state.hidden[:, layer], cell, weights)
            hiddens.append(inputs)
            if cell is not None:
                cells.append(cell)
        return inputs, RecurrentState(torch.stack(hiddens, 1), torch.stack(cells, 1) if cells else None)

    def unroll(
        self, inputs: Tensor, lengths: Tensor, state: RecurrentState | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """All steps over a batch padded to the right.

        inputs (batch, source, input), lengths (batch,) at least 1: outputs (batch, source, hidden *
        directions), meaningless past a row's length, and each row's state at its own end.
        """
        spec = self.recurrence
        if state is None:
            state = self.initial_state(inputs.shape[0], inputs)
        hiddens, cells = [], []
        for layer in range(spec.layers):
            if layer and self.dropout:
                inputs = nn.functional.dropout(inputs, self.dropout, self.training)
            outputs = []
            for direction, suffix in enumerate(self._suffixes(layer)):
                row = layer * spec.directions + direction
                source = reverse_within(inputs, lengths) if direction else inputs
                start = RecurrentState(state.hidden[:, row], None if state.cell is None else state.cell[:, row])
                output, cell = self._unroll_layer(source, lengths, start, self._weights(suffix))
                hiddens.append(last_of(output, lengths))
                if cell is not None:
                    cells.append(cell)
                outputs.append(reverse_within(output, lengths) if direction else output)
            inputs = torch.cat(outputs, 2) if len(outputs) > 1 else outputs[0]
        return inputs, RecurrentState(torch.stack(hiddens, 1), torch.stack(cells, 1) if cells else None)

    def _unroll_layer(
        self, inputs: Tensor, lengths: Tensor, start: RecurrentState, weights: Weights
    ) -> tuple[Tensor, Tensor | None]:
        """One layer and direction through torch's fused kernels: outputs (batch, source, hidden), last cell."""
        hidden = start.hidden.unsqueeze(0)
        tail = (True, 1, 0.0, self.training, False, True)  # biases, layers, dropout, train, bidirectional, batch first
        if self.recurrence.cell == "lstm":
            assert start.cell is not None
            inputs, weights = _freeze_past_end(inputs, lengths, weights)
            output, _, cell = torch.lstm(inputs, (hidden, start.cell.unsqueeze(0)), weights, *tail)
            return output, cell.squeeze(0)
        kernels = {"gru": torch.gru, "rnn_tanh": torch.rnn_tanh, "rnn_relu": torch.rnn_relu}
        output, _ = kernels[self.recurrence.cell](inputs, hidden, weights, *tail)
        return output, None


def _freeze_past_end(inputs: Tensor, lengths: Tensor, weights: Weights) -> tuple[Tensor, Weights]:
    """Make the cell keep its value on padding, so that the last cell is each row's own.

    One input feature more, 1 on padding, saturates the gates there: forget at exactly 1, input at exactly 0.
    That costs some columns instead of a packed sequence: one that tells, and zeros up to a multiple of 32, without
    which oneDNN's kernels in bfloat16 take three to five times as long.
    """
    positions = torch.arange(inputs.shape[1], device=inputs.device).unsqueeze(0)
    more = _BLOCK - inputs.shape[2] % _BLOCK
    padding = inputs.new_zeros(*inputs.shape[:2], more)  # batch x source x columns
    padding[:, :, 0] = positions >= lengths.unsqueeze(1)
    size = weights.weight_hh.shape[1]
    columns = weights.weight_ih.new_zeros(4 * size, more)
    columns[:size, 0] = -_SATURATED
    columns[size : 2 * size, 0] = _SATURATED
    frozen = weights._replace(weight_ih=torch.cat((weights.weight_ih, columns), 1))
    return torch.cat((inputs, padding), 2), frozen
