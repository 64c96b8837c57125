"""Beam search: one step of it in each of the ways that a manifest names, and when it is over."""

from collections.abc import Collection
from typing import NamedTuple

import torch
from torch import Tensor

from app.store.manifest import Search, Until

_NEVER = float("-inf")


class Found(NamedTuple):
    """One step of searches, each (searches, width): what goes on, best first; of the best continuations which have an
    end, and of those that ended now scores, -inf where nothing did, and beams."""

    tokens: Tensor
    beams: Tensor
    scores: Tensor
    end_scores: Tensor
    end_beams: Tensor
    closed: Tensor


def search(
    allowed: Tensor, scores: Tensor, steps: Tensor, history: Tensor, rows: Tensor, eos: int, how: Search
) -> Found:
    """One step of beam search (Graves 2012, section 2.4, in today's form) for `rows` (searches, width).

    allowed (rows, vocabulary), log-probabilities of what may come next; scores, steps and history as in `choose`.
    """
    totals = scores[rows].unsqueeze(2) + allowed[rows]  # searches x width x vocabulary
    if how == "past_end":
        return _past_end(totals, history[rows], eos)
    if how == "shrinking":
        return _stopping(totals, eos, _alive(scores[rows], steps[rows]))
    return _stopping(totals, eos, rows.shape[1] if how == "gaps" else None)


def _stopping(totals: Tensor, eos: int, alive: Tensor | int | None) -> Found:
    """Of the 2 * width best continuations at most half can be ends, since each beam has one: the ends among the first
    `width` are hypotheses that ended, and the first `width` others go on. With `alive` only so many are looked at, a
    number or one for each search (searches, 1), and those of them that are no ends go on."""
    _, width, vocabulary = totals.shape
    best = totals.flatten(1).topk(2 * width)
    beams, tokens = best.indices // vocabulary, best.indices % vocabulary
    is_end = tokens == eos
    rank = torch.arange(2 * width, device=totals.device)
    values = best.values if alive is None else best.values.masked_fill(rank >= alive, _NEVER)
    going = (rank + 2 * width * is_end).argsort(1)[:, :width]
    ended = is_end[:, :width] & (values[:, :width] > _NEVER)
    return Found(
        tokens.gather(1, going),
        beams.gather(1, going),
        values.gather(1, going),
        values[:, :width].masked_fill(~ended, _NEVER),
        beams[:, :width],
        ended,
    )


def _past_end(totals: Tensor, history: Tensor, eos: int) -> Found:
    """The `width` best continuations go on, ends and what stands behind an end among them. history (searches, width,
    tokens); a hypothesis ends once."""
    _, width, vocabulary = totals.shape
    best = totals.flatten(1).topk(width)
    beams, tokens = best.indices // vocabulary, best.indices % vocabulary
    ended_before = (history == eos).any(2).gather(1, beams)
    is_end = (tokens == eos) & (best.values > _NEVER)
    end_scores = best.values.masked_fill(~is_end | ended_before, _NEVER)
    return Found(tokens, beams, best.values, end_scores, beams, is_end)


def _alive(scores: Tensor, steps: Tensor) -> Tensor:
    """Beams (searches, 1) that have not ended, of scores and steps (searches, width); before the first step all of them
    are to come."""
    going = (scores > _NEVER).sum(1, keepdim=True)
    return torch.where(steps[:, :1] == 0, scores.shape[1], going)


def is_over(until: Until, *, ended: int, closed: Collection[int], beams: int, n_best: int) -> bool:
    """Whether a search may stop: `ended` hypotheses have, and `closed` are the places among its best continuations
    that have held an end in some step."""
    match until:
        case "beams":
            return ended >= beams
        case "best":
            return 0 in closed and ended >= n_best
        case "places":
            return len(closed) == beams


def takes_unfinished(how: Search, *, ended: int, is_over: bool, is_at_limit: bool) -> bool:
    """Whether hypotheses without an end are answered beside those that ended."""
    if how == "shrinking" and ended:
        return False
    return not is_over or (is_at_limit and how in ("gaps", "past_end"))
