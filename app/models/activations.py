"""The functions of one number that an architecture names."""

from collections.abc import Callable
from functools import partial
from typing import assert_never

import torch
from torch import Tensor, nn

from app.store.recurrence import Activation

Function = Callable[[Tensor], Tensor]


def function_of(name: Activation, slope: float = 0.01) -> Function:
    """The function of an activation; `slope` is that of leaky_relu below zero."""
    match name:
        case "none":
            return _as_it_is
        case "relu":
            return torch.relu
        case "tanh":
            return torch.tanh
        case "sigmoid":
            return torch.sigmoid
        case "leaky_relu":
            return partial(nn.functional.leaky_relu, negative_slope=slope)
        case "elu":
            return nn.functional.elu
        case "selu":
            return torch.selu
        case "gelu":
            return nn.functional.gelu
        case "softplus":
            return nn.functional.softplus
        case "softsign":
            return nn.functional.softsign
        case "swish":
            return nn.functional.silu
        case "hard_sigmoid_5":
            return partial(_hard_sigmoid, slope=0.2)
        case "hard_sigmoid_6":
            return partial(_hard_sigmoid, slope=1 / 6)
        case _:
            assert_never(name)


def _as_it_is(values: Tensor) -> Tensor:
    return values


def _hard_sigmoid(values: Tensor, *, slope: float) -> Tensor:
    return (slope * values + 0.5).clamp(0, 1)
