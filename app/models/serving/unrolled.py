"""`Recurrent` as the engine runs it: packed cells over segments, so that no step is spent on padding."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from app.models.cells import Recurrent, RecurrentState, Weights, zero_state
from app.models.serving.segments import Segment, segments


class Cell(Protocol):
    """One layer in one direction, its weights packed. `unroll` takes and gives `dtype`, but for the cell: float32."""

    dtype: torch.dtype

    def step(self, inputs: Tensor, hidden: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """inputs (batch, input), hidden and cell (batch, hidden), to the next hidden and cell."""

    def unroll(self, inputs: Tensor, hidden: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """inputs (time, batch, input), to outputs (time, batch, hidden), the last hidden and cell."""


class PackedRecurrent(nn.Module):
    """`Recurrent`, which it is made from: the same state in and out. `pack(weights, backward)` makes a cell."""

    def __init__(self, recurrent: Recurrent, pack: Callable[[Weights, bool], Cell]) -> None:
        super().__init__()
        self.recurrence = recurrent.recurrence
        self._cells = [
            [pack(weights, direction == 1) for direction, weights in enumerate(layer)]
            for layer in recurrent.weights_by_layer()
        ]

    def initial_state(self, batch: int, like: Tensor) -> RecurrentState:
        """See `Recurrent.initial_state`."""
        return zero_state(self.recurrence, batch, like)

    def step(self, inputs: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """See `Recurrent.step`."""
        assert self.recurrence.directions == 1
        hiddens, cells = [], []
        for layer, (packed,) in enumerate(self._cells):
            cell = None if state.cell is None else state.cell[:, layer]
            inputs, cell = packed.step(inputs, state.hidden[:, layer], cell)
            hiddens.append(inputs)
            if cell is not None:
                cells.append(cell)
        return inputs, _joined(hiddens, cells)

    def unroll(
        self, inputs: Tensor, lengths: Tensor, state: RecurrentState | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """See `Recurrent.unroll`; outputs past a row's length are 0."""
        if state is None:
            state = self.initial_state(inputs.shape[0], inputs)
        order = lengths.argsort(descending=True, stable=True)
        pieces = segments(lengths[order].tolist())
        dtype = self._cells[0][0].dtype
        features = inputs.transpose(0, 1).index_select(1, order).to(dtype)  # time x batch x input, longest row first
        width = self.recurrence.hidden_size
        hiddens: list[Tensor] = []
        cells: list[Tensor] = []
        for layer in self._cells:
            outputs = features.new_zeros(*features.shape[:2], width * len(layer))
            for direction, packed in enumerate(layer):
                row = len(hiddens)
                hidden = state.hidden[order, row].to(dtype)
                cell = None if state.cell is None else state.cell[order, row]
                mine = outputs[:, :, direction * width : (direction + 1) * width]
                _run(packed, pieces[::-1] if direction else pieces, features, hidden, cell, mine)
                hiddens.append(hidden)
                if cell is not None:
                    cells.append(cell)
            features = outputs
        place = order.argsort()
        last = _joined(hiddens, cells)
        last = RecurrentState(last.hidden[place].float(), None if last.cell is None else last.cell[place])
        return features.index_select(1, place).float().transpose(0, 1), last


def _run(
    packed: Cell, pieces: list[Segment], features: Tensor, hidden: Tensor, cell: Tensor | None, outputs: Tensor
) -> None:
    """One layer and direction over features (time, batch, input), the longest row first, into outputs (time, batch,
    hidden). hidden and cell (batch, hidden) hold each row's first state, and its last one afterwards.

    Forward, rows drop out as time goes on; backward, with the pieces turned round, rows join as time goes back.
    """
    for start, end, rows in pieces:
        before = None if cell is None else cell[:rows]
        outputs[start:end, :rows], hidden[:rows], after = packed.unroll(
            features[start:end, :rows], hidden[:rows], before
        )
        if cell is not None and after is not None:
            cell[:rows] = after


def _joined(hiddens: list[Tensor], cells: list[Tensor]) -> RecurrentState:
    """Layers side by side: (batch, layers * directions, hidden)."""
    if len(hiddens) == 1:
        return RecurrentState(hiddens[0].unsqueeze(1), cells[0].unsqueeze(1) if cells else None)
    return RecurrentState(torch.stack(hiddens, 1), torch.stack(cells, 1) if cells else None)
