"""An LSTM layer by oneDNN's fused kernel over weights packed once, in float32 or bfloat16.

`torch.lstm` runs the same kernel but packs the weights in every call. In bfloat16 inputs, weights and hidden states are
rounded; sums and the cell are float32.
"""

import torch
from torch import Tensor

from app.models.cells import Weights

_LSTM = 2  # the number of the cell in torch's enumeration of recurrences


class FusedLSTM:
    """One layer in one direction: a `PackedLayer`."""

    def __init__(self, weights: Weights, *, backward: bool, dtype: torch.dtype) -> None:
        self._hidden_size = weights.weight_hh.shape[1]
        self._backward = backward
        self.dtype = dtype
        ih, hh, self._bias_ih, self._bias_hh = (part.detach().to(dtype).contiguous() for part in weights)
        self._packed = torch.ops.mkldnn._reorder_mkldnn_rnn_layer_weight(
            ih, hh, self._hidden_size, backward, True, False, None
        )

    def step(self, inputs: Tensor, hidden: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """See `PackedCell.step`."""
        _, hidden, cell = self.unroll(inputs.to(self.dtype).unsqueeze(0), hidden.to(self.dtype), cell)
        return hidden.float(), cell

    def unroll(self, inputs: Tensor, hidden: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """See `PackedCell.unroll`; inputs, outputs and hidden are of `dtype`.

        In bfloat16 a single row runs as two: the kernel for a single row adds in another order, and rounding would make
        the difference between a row alone and in a batch large. In float32 it is below 1e-6.
        """
        assert cell is not None
        rows = inputs.shape[1]
        hidden, cell = hidden.unsqueeze(0), cell.unsqueeze(0)  # 1 x batch x hidden
        if rows == 1 and self.dtype is torch.bfloat16:
            inputs, hidden, cell = (part.expand(-1, 2, -1) for part in (inputs, hidden, cell))
        outputs, last, last_cell, _ = torch.ops.aten.mkldnn_rnn_layer(  # reads memory as it lies: contiguous only
            inputs.contiguous(),
            *self._packed,
            self._bias_ih,
            self._bias_hh,
            hidden.contiguous(),
            cell.contiguous(),
            self._backward,
            [],
            _LSTM,
            self._hidden_size,
            1,  # layers
            True,  # biases
            False,  # bidirectional
            False,  # batch first
            False,  # training
        )
        return outputs[:, :rows], last[0, :rows], last_cell[0, :rows]
