"""Linear layers, embeddings and steps of cells with float16 weights packed for the processor, as the engine runs them.

FBGEMM reads weights as float16 from a layout made once, and multiplies and adds in float32. Where the weights were
float16 on disk the numbers are those of float32, up to the order of a sum; each row's are its own, bit for bit, whoever
shares the batch. The modules stand in for `nn.Linear`, `nn.Embedding` and a layer of `Recurrent`; none has a gradient.
"""

from typing import Any

import torch
from torch import Tensor, nn

from app.models.cells import Weights
from app.store.architecture import CellKind


def _pack(weight: Tensor, bias: Tensor | None) -> Any:
    bias = None if bias is None else bias.detach().float()
    return torch.ops.quantized.linear_prepack_fp16(weight.detach().float().contiguous(), bias)


def _multiply(inputs: Tensor, packed: Any) -> Tensor:
    product: Tensor = torch.ops.quantized.linear_dynamic_fp16(inputs, packed)
    return product


class PackedLinear(nn.Module):
    """`nn.Linear`: (..., inputs) to (..., outputs)."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._packed = _pack(linear.weight, linear.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        return _multiply(inputs, self._packed)


class PackedEmbedding(nn.Module):
    """`nn.Embedding` kept in float16, half the memory: tokens (...) to float32 (..., features)."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.register_buffer("weight", embedding.weight.detach().half(), persistent=False)
        self.weight: Tensor

    def forward(self, tokens: Tensor) -> Tensor:
        return nn.functional.embedding(tokens, self.weight).float()


class PackedCell:
    """One layer in one direction: `step` is one step of a batch, `unroll` all steps of a piece without padding."""

    dtype = torch.float32

    def __init__(self, kind: CellKind, weights: Weights, *, backward: bool = False) -> None:
        self.kind = kind
        self._backward = backward
        self._ih = _pack(weights.weight_ih, weights.bias_ih)
        self._hh = _pack(weights.weight_hh, weights.bias_hh)
        if kind in ("lstm", "gru"):
            self._both = torch.ops.quantized.make_quantized_cell_params_fp16(self._ih, self._hh)

    def step(self, inputs: Tensor, hidden: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """inputs (batch, input), hidden and cell (batch, hidden), to the next hidden and cell."""
        fresh, carried = _multiply(inputs, self._ih), _multiply(hidden, self._hh)  # each batch x gates * hidden
        if self.kind == "lstm":
            assert cell is not None
            into, forget, candidate, out = fresh.add_(carried).chunk(4, 1)
            cell = torch.sigmoid(forget).mul_(cell).add_(into.sigmoid_().mul_(candidate.tanh_()))
            return torch.tanh(cell).mul_(out.sigmoid_()), cell
        if self.kind == "gru":
            both = 2 * hidden.shape[1]  # reset and update gate
            reset, update = fresh[:, :both].add(carried[:, :both]).sigmoid_().chunk(2, 1)
            candidate = torch.addcmul(fresh[:, both:], reset, carried[:, both:]).tanh_()
            return (hidden - candidate).mul_(update).add_(candidate), None
        return self._activate(fresh.add_(carried)), None

    def unroll(self, inputs: Tensor, hidden: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """inputs (time, batch, input), to outputs (time, batch, hidden), the last hidden and cell."""
        if self._backward:
            outputs, hidden, cell = self._unroll(inputs.flip(0), hidden, cell)
            return outputs.flip(0), hidden, cell
        return self._unroll(inputs, hidden, cell)

    def _unroll(self, inputs: Tensor, hidden: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        tail = ([self._both] if self.kind in ("lstm", "gru") else [], True, 1, 0.0, False, False, False)
        if self.kind == "lstm":
            assert cell is not None
            start = [hidden.unsqueeze(0), cell.unsqueeze(0)]
            outputs, last, last_cell = torch.quantized_lstm(inputs, start, *tail, dtype=torch.float16, use_dynamic=True)
            return outputs, last.squeeze(0), last_cell.squeeze(0)
        if self.kind == "gru":
            outputs, last = torch.quantized_gru(inputs, hidden.unsqueeze(0), *tail)
            return outputs, last.squeeze(0), None
        outputs = _multiply(inputs, self._ih)  # time x batch x hidden
        for position in outputs:
            hidden = self._activate(position.add_(_multiply(hidden, self._hh)))
        return outputs, hidden, None

    def _activate(self, sums: Tensor) -> Tensor:
        return sums.tanh_() if self.kind == "rnn_tanh" else sums.relu_()
