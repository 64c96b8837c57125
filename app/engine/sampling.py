"""The choice of tokens, as tensor operations on rows: greedy, sampled and searched rows mixed in one batch.

A row is a hypothesis. Nothing here reads a value on the host, so a step can be queued on a GPU without waiting.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from app.engine.beam_search import search
from app.engine.constraints import LEAST, constrain
from app.engine.sampling_options import SampledRows, SamplingOptions
from app.models.serving import native
from app.store.manifest import Search


class Ends(NamedTuple):
    """Hypotheses that a step ended, of all searches of one width, each (searches, width): the score, -inf where none
    ended; the beam before the step; the log-probability of the end; and whether the continuation of this rank is an
    end."""

    scores: Tensor
    beams: Tensor
    log_probs: Tensor
    closed: Tensor


class Choice(NamedTuple):
    """The choice of a step: `tokens` (rows,), their log-probabilities (rows,), and the `table` (rows, vocabulary) of
    the model's own log-probabilities; None if every row is plain. With searches also `parents` (rows,), the rows that
    are continued, `scores` (rows,), the new sums, and `ending` (rows,), whether an end token ends the row."""

    tokens: Tensor
    log_probs: Tensor
    table: Tensor | None = None
    parents: Tensor | None = None
    scores: Tensor | None = None
    ending: Tensor | None = None
    ends: tuple[Ends, ...] = ()


def choose(
    logits: Tensor,
    steps: Tensor,
    history: Tensor,
    scores: Tensor,
    options: SamplingOptions,
    eos: int,
    *,
    how: Search = "full",
) -> Choice:
    """The next token of each row.

    logits (rows, vocabulary); steps (rows,), tokens decoded so far; history (rows, tokens), those tokens and the
    vocabulary's size past their end; scores (rows,), sums of searches so far. `eos` is -1 if no token ends; `how`
    is how searches continue after an end, see `Decoding`.
    """
    table = logits.float().log_softmax(1)
    best = most_probable(logits)
    if options.are_greedy:
        return Choice(best.tokens, best.log_probs, table)
    allowed = constrain(logits, table, steps, history, options, eos) if options.constrain else table
    tokens = allowed.argmax(1)
    if options.sampled is not None:
        rows = options.sampled.rows
        tokens[rows] = sample(allowed[rows], steps[rows], options.sampled)
    if not options.beams:
        return _with_greedy(Choice(tokens, _log_probs(table, tokens), table), best, options.greedy)
    parents = torch.arange(len(tokens), device=tokens.device)
    scores = scores.clone()
    ending = torch.ones_like(tokens, dtype=torch.bool)
    ends = []
    for rows in options.beams:
        found = search(allowed, scores, steps, history, rows, eos, how)
        tokens[rows], parents[rows], scores[rows] = found.tokens, rows.gather(1, found.beams), found.scores
        ending[rows] = False
        ended = rows.gather(1, found.end_beams)
        ends.append(Ends(found.end_scores, found.end_beams, table[ended, eos].clamp(min=LEAST), found.closed))
    choice = Choice(tokens, _log_probs(table[parents], tokens), table, parents, scores, ending, tuple(ends))
    return _with_greedy(choice, best, options.greedy)


def most_probable(logits: Tensor) -> Choice:
    """The most probable token of each row (rows, vocabulary), without a table."""
    if logits.device.type == "cpu" and logits.dtype == torch.float32 and native.available():
        return Choice(*native.most_probable(logits))
    best = logits.float().log_softmax(1).max(1)
    return Choice(best.indices, best.values)


def _with_greedy(choice: Choice, best: Choice, rows: Tensor | None) -> Choice:
    """Greedy rows get the same bits as they get alone."""
    if rows is not None:
        choice.tokens[rows], choice.log_probs[rows] = best.tokens[rows], best.log_probs[rows]
    return choice


def _log_probs(table: Tensor, tokens: Tensor) -> Tensor:
    return table.gather(1, tokens.unsqueeze(1)).squeeze(1).clamp(min=LEAST)


def sample(table: Tensor, steps: Tensor, how: SampledRows) -> Tensor:
    """A token for each row (some,), from log-probabilities (some, vocabulary).

    `top_k` first, then `top_p` of the rest (nucleus sampling, Holtzman et al. 2020, section 3.1), and `min_p` times the
    best one's probability. One uniform number per row, a function of its seed and step alone, is looked up in the
    cumulative distribution: neighbours cannot change it.
    """
    probabilities = (table / how.temperature.unsqueeze(1)).softmax(1)
    ordered, tokens = probabilities.sort(1, descending=True)
    rank = torch.arange(table.shape[1], device=table.device)
    most = how.top_k.masked_fill(how.top_k <= 0, table.shape[1]).unsqueeze(1)
    kept = ordered.masked_fill(rank >= most, 0.0)
    before = kept.cumsum(1) - kept
    kept = kept.masked_fill(before >= how.top_p.unsqueeze(1) * kept.sum(1, keepdim=True), 0.0)
    kept = kept.masked_fill(kept < how.min_p.unsqueeze(1) * ordered[:, :1], 0.0)
    left = torch.zeros_like(probabilities).scatter(1, tokens, kept).double().cumsum(1)
    at = (uniform(how.seed, steps) * left[:, -1]).unsqueeze(1)
    return torch.searchsorted(left, at, right=True).squeeze(1).clamp(max=table.shape[1] - 1)


def uniform(seed: Tensor, steps: Tensor) -> Tensor:
    """Numbers in [0, 1) that depend on seed (some,) and step (some,) only: the finaliser of SplitMix64 (Steele et al.
    2014, figure 15), on integers that wrap."""
    state = seed + (steps + 1) * -7046029254386353131  # the golden ratio's 0x9E3779B97F4A7C15
    for _ in range(2):  # twice, since people choose neighbouring seeds
        state = (state ^ _shifted(state, 30)) * -4658895280553007687
        state = (state ^ _shifted(state, 27)) * -7723592293110705685
        state = state ^ _shifted(state, 31)
    return _shifted(state, 11).double() / 2**53


def _shifted(value: Tensor, bits: int) -> Tensor:
    """Shifted right with zeros moving in, as for unsigned numbers."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)
