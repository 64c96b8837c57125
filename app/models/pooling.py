"""Pooling: the outputs of an encoder over time to one vector, at once or while a source is read in parts."""

from typing import assert_never

import torch
from torch import Tensor

from app.models.encoders import Encoded
from app.store.architecture import Pooling


def pooled(poolings: tuple[Pooling, ...], encoded: Encoded) -> Tensor:
    """The outputs of an encoder over time, by each pooling, and its branch: (batch, features)."""
    branch = [] if encoded.branch is None else [encoded.branch]
    return torch.cat([*(_pooled(pooling, encoded) for pooling in poolings), *branch], 1)


def _pooled(pooling: Pooling, encoded: Encoded) -> Tensor:
    """An encoded source to (batch, memory)."""
    if pooling in encoded.pools:
        return encoded.pools[pooling]
    match pooling:
        case "last":
            return encoded.summary
        case "max":
            return _largest(encoded)
        case "mean":
            return encoded.memory.sum(1) / encoded.lengths.unsqueeze(1)  # the memory of padding is 0
        case _:
            assert_never(pooling)


def _largest(encoded: Encoded) -> Tensor:
    return encoded.memory.masked_fill(~encoded.memory_mask.unsqueeze(2), float("-inf")).amax(1)


def pooled_part(pooling: Pooling, encoded: Encoded) -> Tensor:
    """What `pooling` keeps of the outputs of one part of each source (batch, memory): the last, the largest, or their
    sum."""
    match pooling:
        case "last":
            return encoded.summary
        case "max":
            return _largest(encoded)
        case "mean":
            return encoded.memory.sum(1, dtype=torch.float64)  # of any number of parts
        case _:
            assert_never(pooling)


def joined_parts(pooling: Pooling, before: Tensor, after: Tensor) -> Tensor:
    """What `pooling` keeps of two neighbouring parts, from what it keeps of each."""
    match pooling:
        case "last":
            return after
        case "max":
            return torch.maximum(before, after)
        case "mean":
            return before + after
        case _:
            assert_never(pooling)


def pooled_parts(pooling: Pooling, kept: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """The pooled outputs of a source with a number of steps, from what `pooling` keeps of all its parts."""
    return (kept / steps if pooling == "mean" else kept).to(dtype)


def pooled_prefixes(poolings: tuple[Pooling, ...], encoded: Encoded) -> Tensor:
    """`pooled` for each prefix of a source encoded in one direction: (batch, source, features), undefined past a row's
    length."""
    return torch.cat([_pooled_prefixes(pooling, encoded) for pooling in poolings], 2)


def _pooled_prefixes(pooling: Pooling, encoded: Encoded) -> Tensor:
    """An encoded source to (batch, source, memory)."""
    memory = encoded.memory
    match pooling:
        case "last":
            return memory
        case "max":
            return memory.cummax(1).values
        case "mean":
            steps = torch.arange(1, memory.shape[1] + 1, device=memory.device, dtype=memory.dtype)
            return memory.cumsum(1) / steps.view(1, -1, 1)
        case _:
            assert_never(pooling)
