"""`Recurrent` as the engine runs it where the native kernels are: one call per layer and direction, without padding."""

import torch
from torch import Tensor, nn

from app.models.cells import Recurrent, RecurrentState, zero_state
from app.models.serving.native.cell import NativeCell
from app.models.serving.native.library import Level


class NativeRecurrent(nn.Module):
    """`Recurrent`, which it is made from: the same state in and out. It has no gradient."""

    def __init__(self, recurrent: Recurrent, *, dtype: torch.dtype = torch.float16, level: Level | None = None) -> None:
        super().__init__()
        self.recurrence = recurrent.recurrence
        kind = self.recurrence.cell
        self._cells = [
            [NativeCell(kind, weights, dtype=dtype, level=level) for weights in layer]
            for layer in recurrent.weights_by_layer()
        ]

    def initial_state(self, batch: int, like: Tensor) -> RecurrentState:
        """See `Recurrent.initial_state`."""
        return zero_state(self.recurrence, batch, like)

    def step(self, inputs: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """See `Recurrent.step`."""
        assert self.recurrence.directions == 1
        hiddens, cells = [], []
        for layer, (native,) in enumerate(self._cells):
            inputs, cell = native.step(inputs, *_of(state, layer))
            hiddens.append(inputs)
            cells.append(cell)
        return inputs, _joined(hiddens, cells)

    def unroll(
        self, inputs: Tensor, lengths: Tensor, state: RecurrentState | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """See `Recurrent.unroll`; outputs past a row's length are 0.

        Between the layers the real positions lie one after the other, row by row, as (positions, features).
        """
        batch, source = inputs.shape[:2]
        state = self.initial_state(batch, inputs) if state is None else state
        firsts = lengths.cumsum(0) - lengths
        real = _real_positions(lengths, source)
        features = inputs.flatten(0, 1).index_select(0, real)
        hiddens: list[Tensor] = []
        cells: list[Tensor | None] = []
        for layer in self._cells:
            size = self.recurrence.hidden_size
            outputs = features.new_empty(features.shape[0], size * len(layer))
            for direction, native in enumerate(layer):
                mine = outputs[:, direction * size : (direction + 1) * size]
                gates, before = native.project(features), _of(state, len(hiddens))
                hidden, cell = native.unroll(gates, firsts, lengths, *before, mine, backward=direction == 1)
                hiddens.append(hidden)
                cells.append(cell)
            features = outputs
        padded = features.new_zeros(batch * source, features.shape[1]).index_copy_(0, real, features)
        return padded.view(batch, source, padded.shape[1]), _joined(hiddens, cells)


def _real_positions(lengths: Tensor, source: int) -> Tensor:
    """Where the positions that are not padding lie in (batch * source,)."""
    return (torch.arange(source).unsqueeze(0) < lengths.unsqueeze(1)).flatten().nonzero().squeeze(1)


def _of(state: RecurrentState, row: int) -> tuple[Tensor, Tensor | None]:
    """Hidden and cell (batch, hidden) of one layer and direction."""
    return state.hidden[:, row], None if state.cell is None else state.cell[:, row]


def _joined(hiddens: list[Tensor], cells: list[Tensor | None]) -> RecurrentState:
    """Layers side by side: (batch, layers * directions, hidden)."""
    present = [cell for cell in cells if cell is not None]
    return RecurrentState(torch.stack(hiddens, 1), torch.stack(present, 1) if present else None)
