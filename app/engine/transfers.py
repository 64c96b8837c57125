"""Copies between host and device. Every one of the engine is made here, so that none waits without need."""

from typing import TypeVar

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

T = TypeVar("T")


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Copy from the host; to a GPU from pinned memory, so that the host does not wait."""
    pinned = values.pin_memory() if device.type == "cuda" else values
    return pinned.to(device, non_blocking=True)


def to_host(values: T) -> T:
    """All tensors in nested tuples and lists, in one copy. On a GPU this waits for the work that is queued."""
    leaves, structure = pytree.tree_flatten(values)
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    if not tensors:
        return values
    tensors.sort(key=lambda tensor: -tensor.element_size())  # so that each begins at a multiple of its size
    packed = torch.cat([tensor.contiguous().flatten().view(torch.uint8) for tensor in tensors]).to("cpu")
    sizes = [tensor.numel() * tensor.element_size() for tensor in tensors]
    parts = zip(tensors, torch.split(packed, sizes), strict=True)
    on_host = {id(tensor): part.view(tensor.dtype).view(tensor.shape) for tensor, part in parts}
    copied: T = pytree.tree_unflatten([on_host.get(id(leaf), leaf) for leaf in leaves], structure)
    return copied
