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
from app.store.decoding import Search

_LEAST_TEMPERATURE = 1e-30  # a lower one is the same: it leaves the most probable token alone


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
    the model's own log-probabilities; None if no row needs it. With searches also `parents` (rows,), the rows that
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

    A row's choice depends on its own logits and options alone, bit for bit. The table is made from the most probable
    token's log-probability, so its entries are those that a row gets without a table.
    """
    best = most_probable(logits)
    table = _log_probs(logits, best, None) if options.needs_table else None
    if options.are_greedy:
        return Choice(best.tokens, best.log_probs, table)
    tokens = best.tokens.clone()
    if options.sampled is not None:
        tokens[options.sampled.rows] = draw(logits, steps, options.sampled)
    if not (options.constrain or options.beams):
        return Choice(tokens, _log_probs(logits, best, tokens).clamp(min=LEAST), table)
    assert table is not None  # these need it
    allowed = constrain(logits, table, steps, history, options, eos) if options.constrain else table
    if options.constrained is not None:
        tokens[options.constrained] = allowed[options.constrained].argmax(1)
    if options.sampled_constrained is not None:
        tokens[options.sampled_constrained.rows] = draw(allowed, steps, options.sampled_constrained)
    if not options.beams:
        return Choice(tokens, _entries(table, tokens), table)
    return _searched(Choice(tokens, best.log_probs, table), allowed, steps, history, scores, options, eos, how)


def _searched(
    choice: Choice,
    allowed: Tensor,
    steps: Tensor,
    history: Tensor,
    scores: Tensor,
    options: SamplingOptions,
    eos: int,
    how: Search,
) -> Choice:
    """A choice in which the rows of searches continue the best hypotheses of their search."""
    tokens, table = choice.tokens, choice.table
    assert table is not None
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
    return Choice(tokens, _entries(table[parents], tokens), table, parents, scores, ending, tuple(ends))


def most_probable(logits: Tensor) -> Choice:
    """The most probable token of each row (rows, vocabulary), without a table."""
    if _has_kernels(logits):
        return Choice(*native.most_probable(logits))
    best = logits.float().log_softmax(1).max(1)
    return Choice(best.indices, best.values)


def _has_kernels(logits: Tensor) -> bool:
    return logits.device.type == "cpu" and logits.dtype == torch.float32 and native.available()


def _log_probs(logits: Tensor, best: Choice, tokens: Tensor | None) -> Tensor:
    """Log-probabilities of the `tokens` (rows,), or of all tokens (rows, vocabulary): the distance to the most probable
    one, added to its log-probability."""
    peak = logits.gather(1, best.tokens.unsqueeze(1)).float()
    if tokens is None:
        return (logits.float() - peak).add_(best.log_probs.unsqueeze(1))
    return (logits.gather(1, tokens.unsqueeze(1)).float() - peak).squeeze(1).add_(best.log_probs)


def _entries(table: Tensor, tokens: Tensor) -> Tensor:
    return table.gather(1, tokens.unsqueeze(1)).squeeze(1).clamp(min=LEAST)


def draw(table: Tensor, steps: Tensor, how: SampledRows) -> Tensor:
    """A token for each of the rows of `how`, from log-probabilities or logits (rows, vocabulary); steps (rows,)."""
    if not _has_kernels(table):
        return sample(table[how.rows], steps[how.rows], how)
    return native.draw(
        table,
        how.rows,
        steps[how.rows],
        seed=how.seed,
        temperature=how.temperature,
        top_k=how.top_k,
        top_p=how.top_p,
        min_p=how.min_p,
    )


def sample(table: Tensor, steps: Tensor, how: SampledRows) -> Tensor:
    """A token for each row (some,), from log-probabilities or logits (some, vocabulary).

    `top_k` first, then `top_p` of the rest (nucleus sampling, Holtzman et al. 2020, section 3.1), and `min_p` times the
    best one's probability; the best token is always kept. One uniform number per row, a function of its seed and step
    alone, is looked up in the cumulative distribution: neighbours cannot change it.
    """
    distances = table - table.amax(1, keepdim=True)
    probabilities = (distances / how.temperature.clamp(min=_LEAST_TEMPERATURE).unsqueeze(1)).softmax(1)
    left = (_cut(probabilities, how) if how.is_cut else probabilities).double().cumsum(1)
    at = (uniform(how.seed, steps) * left[:, -1]).unsqueeze(1)
    return torch.searchsorted(left, at, right=True).squeeze(1).clamp(max=table.shape[1] - 1)


def _cut(probabilities: Tensor, how: SampledRows) -> Tensor:
    """The probabilities (some, vocabulary) with 0 for tokens that are cut off. No more are sorted than may be kept."""
    size = probabilities.shape[1]
    ordered, tokens = probabilities.topk(min(size, how.widest or size))
    rank = torch.arange(ordered.shape[1], device=ordered.device)
    most = how.top_k.masked_fill(how.top_k <= 0, size).unsqueeze(1)
    kept = ordered.masked_fill(rank >= most, 0.0)
    before = kept.cumsum(1) - kept
    is_beyond = (before >= how.top_p.unsqueeze(1) * kept.sum(1, keepdim=True)) & (rank > 0)
    kept = kept.masked_fill(is_beyond | (kept < how.min_p.unsqueeze(1) * ordered[:, :1]), 0.0)
    return torch.zeros_like(probabilities).scatter(1, tokens, kept)


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
