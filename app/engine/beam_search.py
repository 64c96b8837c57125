"""Beam search: one step in each of the ways that a manifest names, and when a search is over."""

import math
from typing import NamedTuple, assert_never

import torch
from torch import Tensor

from app.engine.request import Request
from app.store.decoding import Search, Until

_NEVER = float("-inf")


class BeamStep(NamedTuple):
    """One step of searches, each (searches, width). Tokens, parent beams and scores of the new beams, best first;
    scores and parent beams of the hypotheses that ended, -inf where none did; and whether the continuation of each rank
    is an end."""

    tokens: Tensor
    beams: Tensor
    scores: Tensor
    end_scores: Tensor
    end_beams: Tensor
    closed: Tensor


def search(
    allowed: Tensor, scores: Tensor, steps: Tensor, history: Tensor, rows: Tensor, eos: int, how: Search
) -> BeamStep:
    """One step of beam search (Graves 2012, section 2.4, in today's form) for `rows` (searches, width).

    allowed (rows, vocabulary), log-probabilities of the next tokens after penalties; scores, steps and history as in
    `choose`.
    """
    totals = scores[rows].unsqueeze(2) + allowed[rows]  # searches x width x vocabulary
    match how:
        case "full":
            return _stopping(totals, eos, None)
        case "gaps":
            return _stopping(totals, eos, rows.shape[1])
        case "shrinking":
            return _stopping(totals, eos, _alive(scores[rows], steps[rows]))
        case "past_end":
            return _past_end(totals, history[rows], eos)
        case _:
            assert_never(how)


def _stopping(totals: Tensor, eos: int, alive: Tensor | int | None) -> BeamStep:
    """A hypothesis stops at its end. Of the 2 * width best continuations at most half are ends, since each beam has
    one: ends among the first `width` are hypotheses, and the first `width` others become the new beams. `alive`, a
    number or one per search (searches, 1), limits the continuations that count."""
    _, width, vocabulary = totals.shape
    best = totals.flatten(1).topk(2 * width)
    beams, tokens = best.indices // vocabulary, best.indices % vocabulary
    is_end = tokens == eos
    rank = torch.arange(2 * width, device=totals.device)
    values = best.values if alive is None else best.values.masked_fill(rank >= alive, _NEVER)
    alive_ranks = (rank + 2 * width * is_end).argsort(1)[:, :width]
    ended = is_end[:, :width] & (values[:, :width] > _NEVER)
    return BeamStep(
        tokens.gather(1, alive_ranks),
        beams.gather(1, alive_ranks),
        values.gather(1, alive_ranks),
        values[:, :width].masked_fill(~ended, _NEVER),
        beams[:, :width],
        ended,
    )


def _past_end(totals: Tensor, history: Tensor, eos: int) -> BeamStep:
    """The `width` best continuations become the new beams, ends and tokens behind an end among them; a hypothesis ends
    once. history (searches, width, tokens)."""
    _, width, vocabulary = totals.shape
    best = totals.flatten(1).topk(width)
    beams, tokens = best.indices // vocabulary, best.indices % vocabulary
    ended_before = (history == eos).any(2).gather(1, beams)
    is_end = (tokens == eos) & (best.values > _NEVER)
    end_scores = best.values.masked_fill(~is_end | ended_before, _NEVER)
    return BeamStep(tokens, beams, best.values, end_scores, beams, is_end)


def _alive(scores: Tensor, steps: Tensor) -> Tensor:
    """Beams (searches, 1) that have not ended, of scores and steps (searches, width): all before the first step."""
    alive = (scores > _NEVER).sum(1, keepdim=True)
    return alive.masked_fill(steps[:, :1] == 0, scores.shape[1])


def has_nan(request: Request) -> bool:
    """Whether the last step of a search has a log-probability that is not a number."""
    return bool(request.trace) and any(math.isnan(value) for value in request.trace[-1].log_probs)


def is_settled(request: Request, until: Until) -> bool:
    """Whether further steps do not change the answer of a search."""
    return len(request.trace) >= request.decode.max_tokens or is_over(request, until) or has_nan(request)


def is_over(request: Request, until: Until) -> bool:
    """Whether a search may stop before its limit."""
    decode = request.decode
    match until:
        case "beams":
            return len(request.ends) >= decode.beams
        case "best":
            return 0 in request.end_ranks and len(request.ends) >= decode.n_best
        case "places":
            return len(request.end_ranks) == decode.beams
        case _:
            assert_never(until)


def takes_unfinished(request: Request, how: Search, until: Until) -> bool:
    """Whether the answer of a search has hypotheses without an end beside those that ended."""
    if how == "shrinking" and request.ends:
        return False
    is_at_limit = len(request.trace) == request.decode.max_tokens
    return not is_over(request, until) or (is_at_limit and how in ("gaps", "past_end"))
