"""A serving form of `Recurrent`: one call of a native kernel per layer and direction, without padding."""

import torch
from torch import Tensor

from app.models.cells import RecurrentState, joined
from app.models.recurrent import Recurrent, RecurrentLayers
from app.models.serving.native.cell import NativeCell, has_native_form
from app.models.serving.native.library import Level


class NativeRecurrent(RecurrentLayers):
    """`recurrent` with the same state in and out, without gradients. Raises ValueError for a kind of cell without
    kernel."""

    ends_in_zeros = True

    def __init__(self, recurrent: Recurrent, *, dtype: torch.dtype = torch.float16, level: Level | None = None) -> None:
        super().__init__(recurrent.recurrence)
        kind = self.recurrence.cell
        if not has_native_form(kind):
            raise ValueError(f"there is no native kernel for cells of kind {kind}")
        self.cells = [
            [NativeCell(kind, weights, dtype=dtype, level=level) for weights in layer]
            for layer in recurrent.weights_by_layer()
        ]
        for number, panels in enumerate(panels for layer in self.cells for cell in layer for panels in cell.panels):
            self.register_buffer(f"panels_{number}", panels, persistent=False)

    def _step_layer(
        self, layer: int, inputs: Tensor, hidden: Tensor, cell: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        return self.cells[layer][0].step(inputs, hidden, cell)

    def unroll(
        self, inputs: Tensor, lengths: Tensor, state: RecurrentState | None = None, *, layers: int | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """See `Recurrent.unroll`; outputs past a row's length are 0.

        Between layers the real positions of all rows are side by side: (positions, features).
        """
        batch, source = inputs.shape[:2]
        state = self.initial_state(batch, inputs) if state is None else state
        firsts = lengths.cumsum(0) - lengths
        real = _real_positions(lengths, source)
        features = inputs.flatten(0, 1).index_select(0, real)
        hiddens: list[Tensor] = []
        cells: list[Tensor | None] = []
        for layer in self.cells[:layers]:
            size = self.recurrence.hidden_size
            outputs = features.new_empty(features.shape[0], size * len(layer))
            for direction, native in enumerate(layer):
                mine = outputs[:, direction * size : (direction + 1) * size]
                gates, before = native.project(features), state.row(len(hiddens))
                hidden, cell = native.unroll(gates, firsts, lengths, *before, mine, backward=direction == 1)
                hiddens.append(hidden)
                cells.append(cell)
            features = outputs
        padded = features.new_zeros(batch * source, features.shape[1]).index_copy_(0, real, features)
        return padded.view(batch, source, padded.shape[1]), joined(hiddens, cells)


def _real_positions(lengths: Tensor, source: int) -> Tensor:
    """Indices of the positions that are not padding in (batch * source,)."""
    return (torch.arange(source).unsqueeze(0) < lengths.unsqueeze(1)).flatten().nonzero().squeeze(1)
