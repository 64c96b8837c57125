"""A serving form of `Recurrent`: packed cells over the segments of a batch, so that no step runs on padding."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from app.models.cells import RecurrentState, Weights, joined
from app.models.recurrent import Recurrent, RecurrentLayers
from app.models.serving.segments import Segment, segments


class PackedLayer(Protocol):
    """One layer in one direction with packed weights. `unroll` takes and returns `dtype`; the cell is float32."""

    dtype: torch.dtype

    def step(self, inputs: Tensor, hidden: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """inputs (batch, input), hidden and cell (batch, hidden), to the next hidden and cell."""

    def unroll(self, inputs: Tensor, hidden: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """inputs (time, batch, input), to outputs (time, batch, hidden), the last hidden and cell."""


class PackedRecurrent(RecurrentLayers):
    """`recurrent` with the same state in and out. `pack(weights, backward)` packs a layer in one direction."""

    def __init__(self, recurrent: Recurrent, pack: Callable[[Weights, bool], PackedLayer]) -> None:
        super().__init__(recurrent.recurrence)
        self._layers = [
            [pack(weights, direction == 1) for direction, weights in enumerate(layer)]
            for layer in recurrent.weights_by_layer()
        ]

    def _step_layer(
        self, layer: int, inputs: Tensor, hidden: Tensor, cell: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        return self._layers[layer][0].step(inputs, hidden, cell)

    def unroll(
        self, inputs: Tensor, lengths: Tensor, state: RecurrentState | None = None, *, layers: int | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """See `Recurrent.unroll`; outputs past a row's length are 0."""
        if state is None:
            state = self.initial_state(inputs.shape[0], inputs)
        order = lengths.argsort(descending=True, stable=True)
        pieces = segments(lengths[order].tolist())
        dtype = self._layers[0][0].dtype
        features = inputs.transpose(0, 1).index_select(1, order).to(dtype)  # time x batch x input, longest row first
        width = self.recurrence.hidden_size
        hiddens: list[Tensor] = []
        cells: list[Tensor | None] = []
        for layer in self._layers[:layers]:
            outputs = features.new_zeros(*features.shape[:2], width * len(layer))
            for direction, packed in enumerate(layer):
                row = len(hiddens)
                hidden = state.hidden[order, row].to(dtype)
                cell = None if state.cell is None else state.cell[order, row]
                mine = outputs[:, :, direction * width : (direction + 1) * width]
                _run(packed, pieces[::-1] if direction else pieces, features, hidden, cell, mine)
                hiddens.append(hidden)
                cells.append(cell)
            features = outputs
        place = order.argsort()
        last = joined(hiddens, cells)
        last = RecurrentState(last.hidden[place].float(), None if last.cell is None else last.cell[place])
        return features.index_select(1, place).float().transpose(0, 1), last


def _run(
    packed: PackedLayer, pieces: list[Segment], features: Tensor, hidden: Tensor, cell: Tensor | None, outputs: Tensor
) -> None:
    """One layer and direction over features (time, batch, input), the longest row first. Writes outputs (time, batch,
    hidden); hidden and cell (batch, hidden) are the first state before, and the last state after.

    Forward, rows leave at each segment's end; backward, with the segments reversed, rows join at each segment's start.
    """
    for start, end, rows in pieces:
        before = None if cell is None else cell[:rows]
        outputs[start:end, :rows], hidden[:rows], after = packed.unroll(
            features[start:end, :rows], hidden[:rows], before
        )
        if cell is not None and after is not None:
            cell[:rows] = after
