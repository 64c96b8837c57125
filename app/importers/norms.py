"""Batch normalisation as it is after training: a scale and a shift of each feature, which other layers can take in."""

import torch
from torch import Tensor

from app.importers.checkpoint import Tensors


def scale_and_shift(
    mean: Tensor, variance: Tensor, *, weight: Tensor | None = None, bias: Tensor | None = None, epsilon: float = 1e-5
) -> tuple[Tensor, Tensor]:
    """Without `weight` and `bias` these are 1 and 0."""
    deviation = torch.sqrt(variance.double() + epsilon)
    scale = (torch.ones_like(deviation) if weight is None else weight.double()) / deviation
    shift = -mean.double() * scale
    return scale.float(), (shift if bias is None else shift + bias.double()).float()


def affine(norm: Tensors) -> tuple[Tensor, Tensor]:
    """Scale and shift of an nn.BatchNorm1d."""
    return scale_and_shift(norm["running_mean"], norm["running_var"], weight=norm.get("weight"), bias=norm.get("bias"))


def taken_in(norm: Tensors, behind: Tensors) -> dict[str, Tensor]:
    """The linear layer that reads a norm, with the norm in its weight and bias."""
    scale, shift = (part.double() for part in affine(norm))
    weight = behind["weight"].double()
    return {"weight": (weight * scale).float(), "bias": (behind["bias"].double() + weight @ shift).float()}
