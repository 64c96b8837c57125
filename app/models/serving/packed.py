"""Linear layers, embeddings and cells with float16 weights packed for FBGEMM: a serving form, without gradients.

FBGEMM packs the weights once and multiplies and adds in float32. Weights that were float16 on disk give the results of
float32, up to the order of a sum. A row's results do not depend on the other rows of the batch, bit for bit.
"""

from typing import Any, Literal, TypeGuard, assert_never, get_args

import torch
from torch import Tensor, nn

from app.models.cells import Weights
from app.store.recurrence import CellKind

PackedKind = Literal["rnn_tanh", "rnn_relu", "gru", "lstm"]


def has_packed_form(kind: CellKind) -> TypeGuard[PackedKind]:
    """Whether `PackedCell` computes this kind of cell."""
    return kind in get_args(PackedKind)


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
    """`nn.Embedding` with float16 weights: tokens (...) to float32 (..., features)."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.register_buffer("weight", embedding.weight.detach().half(), persistent=False)
        self.weight: Tensor

    def forward(self, tokens: Tensor) -> Tensor:
        return nn.functional.embedding(tokens, self.weight).float()


class PackedCell:
    """One layer in one direction: a step of a batch, or all steps of a batch without padding."""

    dtype = torch.float32

    def __init__(self, kind: PackedKind, weights: Weights, *, backward: bool = False) -> None:
        self.kind = kind
        self._backward = backward
        self._ih = _pack(weights.weight_ih, weights.bias_ih)
        self._hh = _pack(weights.weight_hh, weights.bias_hh)
        self._both = torch.ops.quantized.make_quantized_cell_params_fp16(self._ih, self._hh)

    def step(self, inputs: Tensor, hidden: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """inputs (batch, input), hidden and cell (batch, hidden), to the next hidden and cell."""
        fresh, carried = _multiply(inputs, self._ih), _multiply(hidden, self._hh)  # each batch x gates * hidden
        match self.kind:
            case "lstm":
                assert cell is not None
                into, forget, candidate, out = fresh.add_(carried).chunk(4, 1)
                cell = torch.sigmoid(forget).mul_(cell).add_(into.sigmoid_().mul_(candidate.tanh_()))
                return torch.tanh(cell).mul_(out.sigmoid_()), cell
            case "gru":
                both = 2 * hidden.shape[1]  # reset and update gate
                reset, update = fresh[:, :both].add(carried[:, :both]).sigmoid_().chunk(2, 1)
                candidate = torch.addcmul(fresh[:, both:], reset, carried[:, both:]).tanh_()
                return (hidden - candidate).mul_(update).add_(candidate), None
            case "rnn_tanh":
                return fresh.add_(carried).tanh_(), None
            case "rnn_relu":
                return fresh.add_(carried).relu_(), None
            case _:
                assert_never(self.kind)

    def unroll(self, inputs: Tensor, hidden: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """inputs (time, batch, input), to outputs (time, batch, hidden), the last hidden and cell."""
        if self._backward:
            outputs, hidden, cell = self._unroll(inputs.flip(0), hidden, cell)
            return outputs.flip(0), hidden, cell
        return self._unroll(inputs, hidden, cell)

    def _unroll(self, inputs: Tensor, hidden: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        tail = (
            [self._both],
            True,
            1,
            0.0,
            False,
            False,
            False,
        )  # biases, layers, dropout, train, directions, batch first
        match self.kind:
            case "lstm":
                assert cell is not None
                start = [hidden.unsqueeze(0), cell.unsqueeze(0)]
                outputs, last, last_cell = torch.quantized_lstm(
                    inputs, start, *tail, dtype=torch.float16, use_dynamic=True
                )
                return outputs, last.squeeze(0), last_cell.squeeze(0)
            case "gru":
                outputs, last = torch.quantized_gru(inputs, hidden.unsqueeze(0), *tail)
                return outputs, last.squeeze(0), None
            case "rnn_tanh" | "rnn_relu":
                outputs = _multiply(inputs, self._ih)  # time x batch x hidden
                activate = torch.tanh_ if self.kind == "rnn_tanh" else torch.relu_
                for position in outputs:
                    hidden = activate(position.add_(_multiply(hidden, self._hh)))
                return outputs, hidden, None
            case _:
                assert_never(self.kind)
