"""Pooling: the outputs of an encoder over time to one vector, at once or while a source is read in parts."""

from typing import assert_never

import torch
from torch import Tensor, nn

from app.models.activations import function_of
from app.models.encoders import Encoded
from app.models.recurrent import last_of
from app.models.serving import native
from app.store.encoder_part import Pooling
from app.store.pooled import AttentionPooling as AttentionConfig


class AttentionPooling(nn.Module):
    """The mean of the outputs, weighted by a softmax over their scores. See `app.store.pooled`."""

    def __init__(self, config: AttentionConfig, memory_size: int) -> None:
        super().__init__()
        self.kind = config.kind
        self._function = function_of(config.activation or "none", config.slope)
        match config.kind:
            case "dot":
                pass
            case "linear":
                self.score = nn.Linear(memory_size, 1)
            case "additive":
                assert config.size is not None  # see `AttentionPooling`
                self.key = nn.Linear(memory_size, config.size)
                self.score = nn.Linear(config.size, 1)
            case _:
                assert_never(config.kind)

    def forward(self, encoded: Encoded) -> Tensor:
        """An encoded source to (batch, memory)."""
        scores = self._scores(encoded).masked_fill(~encoded.counted, float("-inf"))
        weights = scores.float().softmax(1).to(encoded.memory.dtype)
        return (weights.unsqueeze(1) @ encoded.memory).squeeze(1)

    def _scores(self, encoded: Encoded) -> Tensor:
        """An encoded source to (batch, source)."""
        memory = encoded.memory
        match self.kind:
            case "dot":
                return (memory @ encoded.summary.unsqueeze(2)).squeeze(2)
            case "linear":
                return self._function(self.score(memory)).squeeze(2)
            case "additive":
                scores: Tensor = self.score(self._function(self.key(memory)))
                return scores.squeeze(2)
            case _:
                assert_never(self.kind)


def attention_of(config: AttentionConfig | None, memory_size: int) -> AttentionPooling | None:
    """The weights of pooling `attention`, where a network has it."""
    return None if config is None else AttentionPooling(config, memory_size)


def pooled(poolings: tuple[Pooling, ...], encoded: Encoded, attention: AttentionPooling | None = None) -> Tensor:
    """The outputs of an encoder over time, by each pooling, and its branch: (batch, features)."""
    branch = [] if encoded.branch is None else [encoded.branch]
    return torch.cat([*(_pooled(pooling, encoded, attention) for pooling in poolings), *branch], 1)


def _pooled(pooling: Pooling, encoded: Encoded, attention: AttentionPooling | None) -> Tensor:
    """An encoded source to (batch, memory); `flatten` to (batch, source * memory)."""
    if pooling in encoded.pools:
        return encoded.pools[pooling]
    memory = encoded.memory
    match pooling:
        case "last":
            return encoded.summary
        case "last_cell":
            return _last_cell(encoded)
        case "last_output":
            return last_of(memory, encoded.lengths)
        case "max":
            return _largest(encoded)
        case "mean":
            if encoded.read is None:
                return memory.sum(1) / encoded.lengths.unsqueeze(1)  # the memory of padding is 0
            counted = encoded.memory_mask & encoded.read
            return _sum(encoded) / counted.sum(1, keepdim=True).clamp(min=1)
        case "sum":
            return _sum(encoded)
        case "attention":
            assert attention is not None  # see `Classifier`
            weighted: Tensor = attention(encoded)
            return weighted
        case "flatten":
            return memory.flatten(1)  # all sources have the same length
        case _:
            assert_never(pooling)


def last_outputs(encoded: Encoded, count: int) -> Tensor:
    """The last outputs of each source (batch, count, memory); no source has fewer."""
    places = encoded.lengths.unsqueeze(1) - count + torch.arange(count, device=encoded.memory.device)
    return encoded.memory.gather(1, places.unsqueeze(2).expand(-1, -1, encoded.memory.shape[2]))


def _last_cell(encoded: Encoded) -> Tensor:
    assert encoded.last_cell is not None  # of an LSTM, see `Classifier`
    return encoded.last_cell


def _largest(encoded: Encoded, before: Tensor | None = None) -> Tensor:
    if _is_native(encoded.memory):
        return native.largest(encoded.memory, encoded.lengths, before)
    largest = encoded.memory.masked_fill(~encoded.memory_mask.unsqueeze(2), float("-inf")).amax(1)
    return largest if before is None else torch.maximum(before, largest)


def _sum(encoded: Encoded) -> Tensor:
    """The outputs of the steps that were read (batch, memory)."""
    if encoded.read is None:
        return encoded.memory.sum(1)
    return encoded.memory.masked_fill(~encoded.read.unsqueeze(2), 0).sum(1)


def pooled_further(pooling: Pooling, encoded: Encoded, before: Tensor | None = None) -> Tensor:
    """What `pooling` keeps of the outputs of one part of each source (batch, memory), and of those `before` it: the
    last, the largest, or their sum. Not for attention and flatten, which need all outputs.

    A sum grows step by step, in float64: it has the same bits wherever a source is cut.
    """
    match pooling:
        case "last":
            return encoded.summary
        case "last_cell":
            return _last_cell(encoded)
        case "last_output":
            return last_of(encoded.memory, encoded.lengths)
        case "max":
            return _largest(encoded, before)
        case "mean" | "sum":
            if _is_native(encoded.memory):
                return native.summed(encoded.memory, encoded.lengths, before)
            steps = encoded.memory.double()  # those of padding are 0
            if before is not None:
                steps = torch.cat((before.unsqueeze(1), steps), 1)
            return steps.cumsum(1)[:, -1]
        case "attention" | "flatten":
            raise ValueError(f"pooling {pooling} needs all outputs")
        case _:
            assert_never(pooling)


def _is_native(memory: Tensor) -> bool:
    """Whether the kernels pool these outputs: in service, on a CPU."""
    return (
        native.available()
        and torch.is_inference_mode_enabled()
        and memory.device.type == "cpu"
        and memory.dtype == torch.float32
        and (memory.stride(2) == 1 or memory.shape[2] == 1)
    )


def nothing_pooled(pooling: Pooling, memory: int, like: Tensor) -> Tensor:
    """What `pooling` keeps before the first step (memory,), on the device of `like`."""
    match pooling:
        case "max":
            return like.new_full((memory,), float("-inf"))
        case "mean" | "sum":
            return like.new_zeros(memory, dtype=torch.float64)
        case "last" | "last_cell" | "last_output" | "attention" | "flatten":
            return like.new_zeros(memory)
        case _:
            assert_never(pooling)


def pooled_parts(pooling: Pooling, kept: Tensor, steps: int | Tensor, dtype: torch.dtype) -> Tensor:
    """The pooled outputs of a source with a number of steps, from what `pooling` keeps of all its parts."""
    return (kept / steps if pooling == "mean" else kept).to(dtype)


def pooled_prefixes(poolings: tuple[Pooling, ...], encoded: Encoded) -> Tensor:
    """`pooled` for each prefix of a source encoded in one direction: (batch, source, features), undefined past a row's
    length. Not for attention, flatten and last_cell."""
    return torch.cat([_pooled_prefixes(pooling, encoded) for pooling in poolings], 2)


def _pooled_prefixes(pooling: Pooling, encoded: Encoded) -> Tensor:
    """An encoded source to (batch, source, memory)."""
    memory = encoded.memory
    match pooling:
        case "last" | "last_output":
            return memory
        case "max":
            return memory.cummax(1).values
        case "mean":
            steps = torch.arange(1, memory.shape[1] + 1, device=memory.device, dtype=memory.dtype)
            return memory.cumsum(1) / steps.view(1, -1, 1)
        case "sum":
            return memory.cumsum(1)
        case "attention" | "flatten" | "last_cell":
            raise ValueError(f"pooling {pooling} reads each prefix anew")
        case _:
            assert_never(pooling)
