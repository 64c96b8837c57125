"""References for what other frameworks compute: one row and one step at a time, from the formulas."""

from collections.abc import Callable

import torch
from torch import Tensor

from app.models.cells import Weights
from app.store.recurrence import Activation, CellSettings

FUNCTIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "relu": lambda x: x.clamp(min=0),
    "tanh": lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "leaky_relu": lambda x: torch.where(x > 0, x, 0.3 * x),
    "elu": lambda x: torch.where(x > 0, x, x.exp() - 1),
    "selu": lambda x: 1.0507009873554805 * torch.where(x > 0, x, 1.6732632423543772 * (x.exp() - 1)),
    "gelu": lambda x: x * (1 + torch.erf(x / 2**0.5)) / 2,
    "softplus": lambda x: (1 + x.exp()).log(),
    "softsign": lambda x: x / (1 + x.abs()),
    "swish": lambda x: x / (1 + (-x).exp()),
    "hard_sigmoid_5": lambda x: (0.2 * x + 0.5).clamp(0, 1),
    "hard_sigmoid_6": lambda x: (x / 6 + 0.5).clamp(0, 1),
}
SLOPE = 0.3  # of leaky_relu here


def step(spec: CellSettings, x: Tensor, h: Tensor, c: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    """One step of a cell: input, hidden and cell (of an LSTM) as vectors, gate by gate."""
    act = FUNCTIONS["relu" if spec.cell == "rnn_relu" else spec.activation]
    gate = FUNCTIONS[spec.recurrent_activation]
    ih, hh = (part.view(-1, len(h), part.shape[1]) for part in (weights.weight_ih, weights.weight_hh))
    bi, bh = (part.view(-1, len(h)) for part in (weights.bias_ih, weights.bias_hh))
    fresh = [w @ x + b for w, b in zip(ih, bi, strict=True)]
    if spec.cell == "lstm":
        i, f, g, o = (part + w @ h + b for part, w, b in zip(fresh, hh, bh, strict=True))
        c = gate(f) * c + gate(i) * act(g)
        return gate(o) * act(c), c
    if spec.cell == "gru":
        r = gate(fresh[0] + hh[0] @ h + bh[0])
        z = gate(fresh[1] + hh[1] @ h + bh[1])
        kept = r * (hh[2] @ h + bh[2]) if spec.reset_after else hh[2] @ (r * h) + bh[2]
        return z * h + (1 - z) * act(fresh[2] + kept), c
    return act(fresh[0] + hh[0] @ h + bh[0]), c


def layer(
    spec: CellSettings, rows: Tensor, read: list[bool], weights: Weights, *, zero: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """rows (steps, input) through one layer, of which those in `read` are read: outputs (steps, hidden), last hidden
    and cell. Other steps repeat the output before, or give zeros."""
    size = weights.weight_hh.shape[1]
    h, c, output = torch.zeros(size), torch.zeros(size), torch.zeros(size)
    outputs = []
    for x, is_read in zip(rows, read, strict=True):
        if is_read:
            h, c = step(spec, x, h, c, weights)
            output = h
        outputs.append(output if is_read or not zero else torch.zeros(size))
    return torch.stack(outputs), h, c
