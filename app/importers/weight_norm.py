"""Weights that torch keeps as lengths and directions (`torch.nn.utils.weight_norm`), as the weights that they make."""

from collections.abc import Mapping

import torch
from torch import Tensor

_FORMS = (("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1"))


def with_whole_weights(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A state dict with a weight in the place of its lengths and directions."""
    whole: dict[str, Tensor] = {}
    read = set()
    for key, tensor in tensors.items():
        prefix, direction = _direction_of(key)
        weight = _weight(tensor, tensors[direction]) if direction in tensors else None
        if weight is None:
            whole[key] = tensor
        else:
            whole[f"{prefix}weight"] = weight
            read.add(direction)
    return {key: tensor for key, tensor in whole.items() if key not in read} if read else tensors


def _direction_of(key: str) -> tuple[str, str]:
    """The prefix of a layer, and the key of its directions, if `key` is that of its lengths."""
    for length, direction in _FORMS:
        if key.endswith(length):
            prefix = key.removesuffix(length)
            return prefix, prefix + direction
    return "", ""


def _weight(lengths: Tensor, directions: Tensor) -> Tensor | None:
    """None if the lengths are those of no dimension."""
    if lengths.dim() not in (0, directions.dim()):
        return None
    kept = [place for place, size in enumerate(lengths.shape) if size > 1]
    if len(kept) > 1 or any(lengths.shape[place] != directions.shape[place] for place in kept):
        return None
    others = [place for place in range(directions.dim()) if place not in kept]
    norms = torch.linalg.vector_norm(directions.double(), dim=others, keepdim=True)
    weight: Tensor = directions.double() / norms * lengths.double()
    return weight.to(directions.dtype)
