"""Choosing tokens, as tensor operations on rows: greedy, drawn and searched ones mixed freely in one batch.

A row is a hypothesis. Nothing here looks at a value from the host, so a step may be queued on a GPU without waiting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from app.engine.beam_search import search
from app.engine.protocol import Emit
from app.models.serving import native
from app.store.manifest import Search

LEAST = -100.0  # natural log-probability told for a token that the model itself would never emit, such as a forced one
_NEVER = float("-inf")


class Ends(NamedTuple):
    """Of searches of one width, the hypotheses that a step ended, each (searches, width): the score, -inf where none
    did, the beam that it was, the log-probability of the end, and whether the place holds an end."""

    scores: Tensor
    beams: Tensor
    log_probs: Tensor
    closed: Tensor


class Choice(NamedTuple):
    """What a step chose: `tokens` (rows,) and their log-probabilities (rows,), out of `table` (rows, vocabulary), the
    model's own; it is None where nobody asked for more than the most probable token. With beams, `parents` (rows,) are
    the rows that they go on from, `scores` (rows,) the new sums, and `ending` (rows,) whether an end ends the row."""

    tokens: Tensor
    log_probs: Tensor
    table: Tensor | None = None
    parents: Tensor | None = None
    scores: Tensor | None = None
    ending: Tensor | None = None
    ends: tuple[Ends, ...] = ()


class Valued(NamedTuple):
    """Rows (some,) and a value, or a row of values, for each."""

    rows: Tensor
    values: Tensor


class Sampling(NamedTuple):
    """Rows that draw, and how; each member (some,)."""

    rows: Tensor
    temperature: Tensor
    top_k: Tensor
    top_p: Tensor
    min_p: Tensor
    seed: Tensor


@dataclass(frozen=True, slots=True)
class Options:
    """What running rows want beyond the most probable token; made anew when a row joins, leaves or moves.

    `free` (some,) are rows that want nothing more; `forced` has the tokens to begin with, -1 past their end; `ngrams`
    are sizes with their rows, and `forbidden` ids with theirs; `beams` has one tensor (searches, width) of rows for
    each width.
    """

    free: Tensor | None = None
    minimum: Valued | None = None
    forced: Valued | None = None
    repetition: Valued | None = None
    ngrams: tuple[tuple[int, Tensor], ...] = ()
    forbidden: tuple[tuple[Tensor, Tensor], ...] = ()
    sampling: Sampling | None = None
    beams: tuple[Tensor, ...] = ()

    @property
    def are_plain(self) -> bool:
        """Whether every row takes the model's most probable token."""
        return not (self.constrain or self.sampling or self.beams)

    @property
    def constrain(self) -> bool:
        """Whether some row may not take every token as the model scores it."""
        return not (self.minimum is self.forced is self.repetition is None and not self.ngrams and not self.forbidden)


def is_plain(emit: Emit) -> bool:
    """Whether a request takes the most probable tokens, and wants to be told nothing but them."""
    return _is_free(emit) and not (emit.alternatives or emit.attention)


def _is_free(emit: Emit) -> bool:
    """Whether a request takes the model's most probable tokens."""
    wishes = (emit.temperature, emit.min_tokens, emit.no_repeat_ngram, emit.forbidden, emit.prefix)
    return emit.beams == 1 and emit.repetition_penalty == 1.0 and not any(wishes)


def options_of(requests: Sequence[tuple[Emit, Sequence[int]]], device: torch.device) -> Options:
    """Options of running requests, each with its rows."""
    by_row = [(row, emit) for emit, rows in requests for row in rows]

    def put(values: Any) -> Tensor:
        return torch.tensor(values, device=device)

    def valued(name: str, ordinary: float) -> Valued | None:
        found = [(row, value) for row, emit in by_row if (value := getattr(emit, name)) != ordinary]
        return Valued(*(put(column) for column in zip(*found, strict=True))) if found else None

    free = [row for row, emit in by_row if _is_free(emit)]
    forced = [(row, emit.prefix) for row, emit in by_row if emit.prefix]
    longest = max((len(prefix) for _, prefix in forced), default=0)
    drawn = [(row, emit) for row, emit in by_row if emit.temperature > 0]
    widths = sorted({emit.beams for emit, _ in requests} - {1})
    sizes = sorted({emit.no_repeat_ngram for _, emit in by_row} - {0})
    crossed_out = sorted({tuple(emit.forbidden) for _, emit in by_row} - {()})
    return Options(
        free=put(free) if free else None,
        minimum=valued("min_tokens", 0),
        forced=Valued(put([row for row, _ in forced]), put([ids + [-1] * (longest - len(ids)) for _, ids in forced]))
        if forced
        else None,
        repetition=valued("repetition_penalty", 1.0),
        ngrams=tuple((size, put([row for row, emit in by_row if emit.no_repeat_ngram == size])) for size in sizes),
        forbidden=tuple(
            (put(ids), put([row for row, emit in by_row if tuple(emit.forbidden) == ids])) for ids in crossed_out
        ),
        sampling=Sampling(
            put([row for row, _ in drawn]),
            *(put([getattr(emit, name) for _, emit in drawn]) for name in Sampling._fields[1:]),
        )
        if drawn
        else None,
        beams=tuple(put([list(rows) for emit, rows in requests if emit.beams == width]) for width in widths),
    )


def choose(
    logits: Tensor,
    steps: Tensor,
    history: Tensor,
    scores: Tensor,
    options: Options,
    eos: int,
    *,
    how: Search = "full",
) -> Choice:
    """The next token of each row.

    logits (rows, vocabulary); steps (rows,), tokens emitted so far; history (rows, tokens), those tokens and the
    vocabulary's size past their end; scores (rows,), sums of searches so far. `eos` is -1 if no token ends; `how`
    is how searches go on after an end (see `Decoding`).
    """
    table = logits.float().log_softmax(1)
    best = most_probable(logits)
    if options.are_plain:
        return Choice(best.tokens, best.log_probs, table)
    allowed = constrain(logits, table, steps, history, options, eos) if options.constrain else table
    tokens = allowed.argmax(1)
    if options.sampling is not None:
        rows = options.sampling.rows
        tokens[rows] = draw(allowed[rows], steps[rows], options.sampling)
    if not options.beams:
        return _freed(Choice(tokens, _told(table, None, tokens), table), best, options.free)
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
    choice = Choice(tokens, _told(table, parents, tokens), table, parents, scores, ending, tuple(ends))
    return _freed(choice, best, options.free)


def most_probable(logits: Tensor) -> Choice:
    """The most probable token of each row (rows, vocabulary), and nothing more."""
    if logits.device.type == "cpu" and logits.dtype == torch.float32 and native.available():
        return Choice(*native.most_probable(logits))
    best = logits.float().log_softmax(1).max(1)
    return Choice(best.indices, best.values)


def _freed(choice: Choice, best: Choice, rows: Tensor | None) -> Choice:
    """Rows that want nothing more get what they would get alone, bit for bit."""
    if rows is not None:
        choice.tokens[rows], choice.log_probs[rows] = best.tokens[rows], best.log_probs[rows]
    return choice


def _told(table: Tensor, parents: Tensor | None, tokens: Tensor) -> Tensor:
    source = table if parents is None else table[parents]
    return source.gather(1, tokens.unsqueeze(1)).squeeze(1).clamp(min=LEAST)


def constrain(logits: Tensor, table: Tensor, steps: Tensor, history: Tensor, options: Options, eos: int) -> Tensor:
    """Log-probabilities (rows, vocabulary) after penalties, -inf for what a row may not emit now."""
    vocabulary = logits.shape[1]
    allowed = torch.cat((table, table.new_zeros(len(table), 1)), 1)  # the last column takes what is past an end
    if options.repetition is not None:
        allowed[options.repetition.rows, :vocabulary] = _less_repeated(logits, history, options.repetition)
    for size, rows in options.ngrams:
        allowed[rows] = allowed[rows].scatter(1, _repeating(history[rows], steps[rows], size, vocabulary), _NEVER)
    allowed = allowed[:, :vocabulary]
    for ids, rows in options.forbidden:
        allowed[rows.unsqueeze(1), ids] = _NEVER
    if options.minimum is not None and eos >= 0:
        rows, least = options.minimum
        allowed[rows, eos] = allowed[rows, eos].masked_fill(steps[rows] < least, _NEVER)
    if options.forced is not None:
        rows, table_of = options.forced
        at = steps[rows].clamp(max=table_of.shape[1] - 1)
        token = table_of.gather(1, at.unsqueeze(1)).masked_fill((steps[rows] >= table_of.shape[1]).unsqueeze(1), -1)
        mine, place = allowed[rows], token.clamp(min=0)
        only = torch.full_like(mine, _NEVER).scatter(1, place, mine.gather(1, place).clamp(min=LEAST))
        allowed[rows] = torch.where(token >= 0, only, mine)
    return allowed


def _less_repeated(logits: Tensor, history: Tensor, repetition: Valued) -> Tensor:
    """Log-probabilities with emitted tokens penalised (Keskar et al. 2019, section 4.1): a positive logit is divided by
    the penalty, a negative one multiplied."""
    rows, penalty = repetition
    raised = torch.cat((logits[rows].float(), logits.new_zeros(len(rows), 1, dtype=torch.float32)), 1)
    emitted = history[rows]
    values = raised.gather(1, emitted)
    by = penalty.unsqueeze(1)
    raised = raised.scatter(1, emitted, torch.where(values > 0, values / by, values * by))
    return raised[:, :-1].log_softmax(1)


def _repeating(history: Tensor, steps: Tensor, size: int, vocabulary: int) -> Tensor:
    """Tokens (rows, windows) that would complete an n-gram of `size` a second time; `vocabulary` where none would."""
    length = history.shape[1]
    if length < size:
        return history.new_full((len(history), 1), vocabulary)
    windows = history.unfold(1, size, 1)  # rows x windows x size
    last = torch.arange(1 - size, 0, device=history.device) + steps.unsqueeze(
        1
    )  # positions of the last size - 1 tokens
    tail = history.gather(1, last.clamp(min=0))
    same = (windows[:, :, :-1] == tail.unsqueeze(1)).all(2)
    is_whole = torch.arange(windows.shape[1], device=history.device) + size <= steps.unsqueeze(1)
    return windows[:, :, -1].masked_fill(~(same & is_whole), vocabulary)


def draw(table: Tensor, steps: Tensor, how: Sampling) -> Tensor:
    """A token for each row (some,), from log-probabilities (some, vocabulary).

    `top_k` first, then `top_p` of what is left (nucleus sampling, Holtzman et al. 2020, section 3.1), and `min_p` times
    the best one's probability. One uniform number per row, a function of its seed and step alone, is
    looked up in the cumulative distribution: neighbours cannot change it.
    """
    probabilities = (table / how.temperature.unsqueeze(1)).softmax(1)
    ordered, tokens = probabilities.sort(1, descending=True)
    rank = torch.arange(table.shape[1], device=table.device)
    most = torch.where(how.top_k > 0, how.top_k, table.shape[1]).unsqueeze(1)
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
    for _ in range(2):  # twice, as neighbouring seeds are what people choose
        state = (state ^ _shifted(state, 30)) * -4658895280553007687
        state = (state ^ _shifted(state, 27)) * -7723592293110705685
        state = state ^ _shifted(state, 31)
    return _shifted(state, 11).double() / 2**53


def _shifted(value: Tensor, bits: int) -> Tensor:
    """Shifted right with zeros moving in, as for unsigned numbers."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)
