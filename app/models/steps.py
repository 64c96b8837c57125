"""The steps of a padded batch, and a recurrence over those of them that it reads."""

from typing import NamedTuple, assert_never

import torch
from torch import Tensor

from app.models.cells import RecurrentState
from app.models.recurrent import RecurrentLayers, reverse_within
from app.store.recurrence import Join, KeptInput, MaskedOutputs


class Steps(NamedTuple):
    """`lengths` (batch,) of the rows, and which of their steps a recurrence reads: `read` (batch, steps), or None for
    all. What `read` says past a row's length does not count."""

    lengths: Tensor
    read: Tensor | None = None

    def real(self, width: int) -> Tensor:
        """The steps within each row's length (batch, width)."""
        positions = torch.arange(width, device=self.lengths.device).unsqueeze(0)
        return positions < self.lengths.unsqueeze(1)

    def counted(self, width: int) -> Tensor:
        """The steps within each row's length that are read (batch, width)."""
        real = self.real(width)
        return real if self.read is None else real & self.read

    def zeroed(self, rows: Tensor) -> Tensor:
        """rows (batch, steps, features) with zeros past each row's length, where stages leave any numbers. A cell that
        keeps its value there does so only if they are finite and small."""
        return rows.masked_fill(~self.real(rows.shape[1]).unsqueeze(2), 0)


def joined_directions(values: Tensor, directions: int, join: Join) -> Tensor:
    """values (..., directions * hidden), forward first, to (..., directions * hidden) or (..., hidden)."""
    if join == "concatenate":
        return values
    apart = values.view(*values.shape[:-1], directions, -1)
    match join:
        case "sum":
            return apart.sum(-2)
        case "mean":
            return apart.mean(-2)
        case "product":
            return apart.prod(-2)
        case _:
            assert_never(join)


def beside_input(outputs: Tensor, inputs: Tensor, kept: KeptInput | None) -> Tensor:
    """outputs (batch, steps, features) with the inputs of the recurrence (batch, steps, input) before or after them."""
    if kept is None:
        return outputs
    return torch.cat((inputs, outputs) if kept == "before" else (outputs, inputs), 2)


def unroll(
    recurrence: RecurrentLayers,
    inputs: Tensor,
    steps: Steps,
    state: RecurrentState | None = None,
    *,
    masked_outputs: MaskedOutputs = "repeat",
    layers: int | None = None,
) -> tuple[Tensor, RecurrentState]:
    """inputs (batch, steps, input) through a recurrence: outputs (batch, steps, hidden * directions), undefined past a
    row's length, and the state at each row's end. See `Recurrent.unroll`.

    Steps that are not read keep the state: the others move to the front of their row, and their outputs back to their
    places. A row without any keeps its first state. What `repeat` repeats before the first that is read is the state.
    """
    lengths, read = steps
    if recurrence.recurrence.reverse:
        inputs = reverse_within(inputs, lengths)
        read = None if read is None else reverse_within(read.unsqueeze(2), lengths).squeeze(2)
    if read is None:
        return recurrence.unroll(inputs, lengths, state, layers=layers)
    read = Steps(lengths, read).counted(inputs.shape[1])
    order = (~read).long().argsort(dim=1, stable=True)  # those that are read come first
    counts = read.sum(1)
    first = recurrence.initial_state(len(inputs), inputs, layers=layers) if state is None else state
    compact = Steps(counts).zeroed(_at(inputs, order))
    outputs, last = recurrence.unroll(compact, counts.clamp(min=1), first, layers=layers)
    places = read.cumsum(1) - 1  # of the step that was read last
    outputs = _at(outputs, places.clamp(min=0))
    if masked_outputs == "zero":
        outputs = outputs.masked_fill(~read.unsqueeze(2), 0)
    else:
        before = first.hidden[:, -recurrence.recurrence.directions :].flatten(1).unsqueeze(1)
        outputs = torch.where((places >= 0).unsqueeze(2), outputs, before)
    return outputs, _unless_empty(last, first, counts)


def _at(sequence: Tensor, places: Tensor) -> Tensor:
    """sequence (batch, steps, features) at places (batch, steps)."""
    return sequence.gather(1, places.unsqueeze(2).expand(-1, -1, sequence.shape[2]))


def _unless_empty(last: RecurrentState, first: RecurrentState, counts: Tensor) -> RecurrentState:
    """The last state of each row, and the first of rows that have read nothing."""
    empty = (counts == 0).view(-1, 1, 1)
    cell = last.cell
    if cell is not None and first.cell is not None:
        cell = torch.where(empty, first.cell, cell)
    return RecurrentState(torch.where(empty, first.hidden, last.hidden), cell)
