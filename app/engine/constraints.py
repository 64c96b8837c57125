"""Tokens that a row may not take now, and penalties: log-probabilities before the choice."""

import torch
from torch import Tensor

from app.engine.sampling_options import RowValues, SamplingOptions

LEAST = -100.0  # natural log-probability of a token that the model itself would never choose, such as a forced one
_NEVER = float("-inf")


def constrain(
    logits: Tensor, table: Tensor, steps: Tensor, history: Tensor, options: SamplingOptions, eos: int
) -> Tensor:
    """Log-probabilities (rows, vocabulary) after penalties, -inf for a token that its row may not take, and never all
    of them; arguments as in `sampling.choose`, `table` being the model's own log-probabilities."""
    vocabulary = logits.shape[1]
    allowed = torch.cat((table, table.new_zeros(len(table), 1)), 1)  # the last column takes tokens past an end
    if options.repetition_penalty is not None:
        rows = options.repetition_penalty.rows
        allowed[rows, :vocabulary] = _penalised(logits, history, options.repetition_penalty)
    for size, rows in options.no_repeat_ngrams:
        allowed[rows] = allowed[rows].scatter(1, _repeating(history[rows], steps[rows], size, vocabulary), _NEVER)
    allowed = allowed[:, :vocabulary]
    for ids, rows in options.forbidden:
        allowed[rows.unsqueeze(1), ids] = _NEVER
    if options.min_tokens is not None and eos >= 0:
        rows, least = options.min_tokens
        allowed[rows, eos] = allowed[rows, eos].masked_fill(steps[rows] < least, _NEVER)
    allowed = _with_a_way_out(allowed, table, eos)
    if options.prefix is not None:
        rows, prefix = options.prefix
        allowed[rows] = _forced(allowed[rows], steps[rows], prefix)
    return allowed


def _with_a_way_out(allowed: Tensor, table: Tensor, eos: int) -> Tensor:
    """A row that may take no token at all ends; if no token ends, it may take every one."""
    is_stuck = allowed.amax(1, keepdim=True) == _NEVER
    if eos < 0:
        return torch.where(is_stuck, table, allowed)
    end = allowed[:, eos : eos + 1]
    end.copy_(torch.where(is_stuck, table[:, eos : eos + 1].clamp(min=LEAST), end))
    return allowed


def _forced(table: Tensor, steps: Tensor, prefix: Tensor) -> Tensor:
    """The token of a prefix (some, tokens) alone, at the steps (some,) that it covers."""
    at = steps.clamp(max=prefix.shape[1] - 1)
    token = prefix.gather(1, at.unsqueeze(1)).masked_fill((steps >= prefix.shape[1]).unsqueeze(1), -1)
    place = token.clamp(min=0)
    only = torch.full_like(table, _NEVER).scatter(1, place, table.gather(1, place).clamp(min=LEAST))
    return torch.where(token >= 0, only, table)


def _penalised(logits: Tensor, history: Tensor, penalty: RowValues) -> Tensor:
    """Log-probabilities with decoded tokens penalised (Keskar et al. 2019, section 4.1): a positive logit is divided by
    the penalty, a negative one multiplied."""
    rows, factor = penalty
    raised = torch.cat((logits[rows].float(), logits.new_zeros(len(rows), 1, dtype=torch.float32)), 1)
    seen = history[rows]
    values = raised.gather(1, seen)
    by = factor.unsqueeze(1)
    raised = raised.scatter(1, seen, torch.where(values > 0, values / by, values * by))
    return raised[:, :-1].log_softmax(1)


def _repeating(history: Tensor, steps: Tensor, size: int, vocabulary: int) -> Tensor:
    """Tokens (rows, windows) that would complete an n-gram of `size` a second time; `vocabulary` where none would."""
    length = history.shape[1]
    if length < size:
        return history.new_full((len(history), 1), vocabulary)
    windows = history.unfold(1, size, 1)  # rows x windows x size
    # positions of the last size - 1 tokens
    last = torch.arange(1 - size, 0, device=history.device) + steps.unsqueeze(1)
    tail = history.gather(1, last.clamp(min=0))
    same = (windows[:, :, :-1] == tail.unsqueeze(1)).all(2)
    is_whole = torch.arange(windows.shape[1], device=history.device) + size <= steps.unsqueeze(1)
    return windows[:, :, -1].masked_fill(~(same & is_whole), vocabulary)
