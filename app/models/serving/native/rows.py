"""Attention, the most probable token, a drawn token, and the pooling of steps, row by row."""

import torch
from torch import Tensor

from app.models.serving.native.library import AttentionFields, DrawFields, Level, best_level, loaded
from app.models.serving.native.matrix import check


def _level(level: Level | None) -> Level:
    chosen = level or best_level()
    if chosen is None:
        raise RuntimeError("there is no native kernel for this processor")
    return chosen


def attend(
    query: Tensor, keys: Tensor, memory: Tensor, memory_mask: Tensor, *, level: Level | None = None
) -> tuple[Tensor, Tensor]:
    """Dot attention (Luong et al. 2015, section 3.1) of a single query per row: context (rows, memory) and weights
    (rows, source).

    query (rows, key), keys (rows, source, key), memory (rows, source, memory), memory_mask (rows, source), true on the
    real positions of a row, which come first. Positions on padding are not read, so a row costs its own length.
    """
    rows, source, size = keys.shape
    check(query, "query", size)
    for name, tensor in (("keys", keys), ("memory", memory)):
        if tensor.dtype != torch.float32 or tensor.shape[:2] != (rows, source) or tensor.stride(2) != 1:
            raise ValueError(f"{name} must be float32 ({rows}, {source}, ...), with contiguous positions")
    if memory_mask.dtype != torch.bool or memory_mask.shape != (rows, source) or memory_mask.stride(1) != 1:
        raise ValueError(f"the mask must be ({rows}, {source}) of bool")
    if query.shape[0] != rows:
        raise ValueError(f"{query.shape[0]} rows of query, but {rows} of keys")
    weights, context = torch.empty(rows, source), torch.empty(rows, memory.shape[2])
    fields = AttentionFields(
        query=query.data_ptr(),
        keys=keys.data_ptr(),
        memory=memory.data_ptr(),
        mask=memory_mask.data_ptr(),
        weights=weights.data_ptr(),
        context=context.data_ptr(),
        rows=rows,
        positions=source,
        key_size=size,
        memory_size=memory.shape[2],
        query_stride=query.stride(0),
        mask_stride=memory_mask.stride(0),
        keys_row=keys.stride(0),
        keys_position=keys.stride(1),
        memory_row=memory.stride(0),
        memory_position=memory.stride(1),
    )
    loaded().unroll_attend(_level(level), fields)
    return context, weights


def most_probable(logits: Tensor, *, level: Level | None = None) -> tuple[Tensor, Tensor]:
    """logits (rows, vocabulary) to the most probable token of each row, the first among equals, and its natural
    log-probability, each (rows,). The log-probability is NaN where a logit is NaN."""
    check(logits, "logits", logits.shape[1])
    logits = logits.contiguous()
    tokens, sums = torch.empty(len(logits), dtype=torch.long), torch.empty(len(logits))
    loaded().unroll_best(_level(level), logits.data_ptr(), *logits.shape, tokens.data_ptr(), sums.data_ptr())
    return tokens, sums.log_().neg_()


def draw(
    logits: Tensor,
    rows: Tensor,
    steps: Tensor,
    *,
    seed: Tensor,
    temperature: Tensor,
    top_k: Tensor,
    top_p: Tensor,
    min_p: Tensor,
    level: Level | None = None,
) -> Tensor:
    """A token (some,) for each of `rows` (some,) of logits (rows, vocabulary), as `app.engine.sampling.sample` draws;
    the other arguments are (some,)."""
    check(logits, "logits", logits.shape[1])
    whole = [tensor.long().contiguous() for tensor in (rows, seed, steps, top_k)]
    real = [tensor.float().contiguous() for tensor in (temperature, top_p, min_p)]
    logits, tokens = logits.contiguous(), torch.empty(len(rows), dtype=torch.long)
    places = [tensor.data_ptr() for tensor in (logits, *whole, *real)]
    if loaded().unroll_draw(_level(level), DrawFields(*places, len(rows), logits.shape[1]), tokens.data_ptr()):
        raise MemoryError("there is no memory to draw a token")
    return tokens


def largest(memory: Tensor, lengths: Tensor, before: Tensor | None = None) -> Tensor:
    """The largest of the steps of each row, and of `before` (rows, size): (rows, size). NaN if one is.

    memory (rows, positions, size), whose first `lengths` (rows,) positions are read.
    """
    kept = memory.new_full(memory[:, 0].shape, float("-inf")) if before is None else before.clone()
    _pool("unroll_largest", memory, lengths, kept, torch.float32)
    return kept


def summed(memory: Tensor, lengths: Tensor, before: Tensor | None = None) -> Tensor:
    """The sum of the same, in float64: step by step, so that it has the same bits wherever a row is cut."""
    shape = memory[:, 0].shape
    kept = memory.new_zeros(shape, dtype=torch.float64) if before is None else before.clone()
    _pool("unroll_sums", memory, lengths, kept, torch.float64)
    return kept


def _pool(name: str, memory: Tensor, lengths: Tensor, kept: Tensor, dtype: torch.dtype) -> None:
    rows, positions, size = memory.shape
    if memory.dtype != torch.float32 or memory.device.type != "cpu" or (size > 1 and memory.stride(2) != 1):
        raise ValueError("memory must be float32 on the CPU, with contiguous positions")
    if lengths.dtype != torch.int64 or lengths.shape != (rows,) or not lengths.is_contiguous():
        raise ValueError(f"lengths must be ({rows},) of int64, contiguous")
    if kept.shape != (rows, size) or kept.dtype != dtype or not kept.is_contiguous():
        raise ValueError(f"what was kept before must be ({rows}, {size}) of {dtype}, contiguous")
    if rows and int(lengths.max()) > positions:
        raise ValueError(f"no row has more than {positions} positions")
    pool = getattr(loaded(), name)
    pool(memory.data_ptr(), memory.stride(0), memory.stride(1), lengths.data_ptr(), rows, size, kept.data_ptr())
