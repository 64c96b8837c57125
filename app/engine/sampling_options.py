"""Decoding options of the running rows as tensors, rebuilt when a row joins, leaves or moves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from app.engine.protocol import Decode
from app.engine.transfers import to_device


class RowValues(NamedTuple):
    """Rows (some,) and a value, or a row of values, for each."""

    rows: Tensor
    values: Tensor


class SampledRows(NamedTuple):
    """Rows that are sampled, and how; each tensor (some,). `is_cut`: whether a row draws from a part of the vocabulary.
    `widest` is the largest `top_k`; 0 if a row has none."""

    rows: Tensor
    temperature: Tensor
    top_k: Tensor
    top_p: Tensor
    min_p: Tensor
    seed: Tensor
    is_cut: bool
    widest: int


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Options beyond the most probable token.

    Each of these has the rows (some,) of requests that choose in this way: `sampled` at random, `constrained` the most
    probable of the allowed tokens, `sampled_constrained` at random from the allowed tokens. `beams` has one tensor
    (searches, width) of rows for each width. All other rows are greedy.

    `prefix` has forced tokens, -1 past their end. `no_repeat_ngrams` are sizes with their rows, `forbidden` ids with
    theirs. `alternatives` and `attention` are the rows whose answers have them, in the order of the requests;
    `most_alternatives` is the largest number of any.
    """

    min_tokens: RowValues | None = None
    prefix: RowValues | None = None
    repetition_penalty: RowValues | None = None
    no_repeat_ngrams: tuple[tuple[int, Tensor], ...] = ()
    forbidden: tuple[tuple[Tensor, Tensor], ...] = ()
    sampled: SampledRows | None = None
    constrained: Tensor | None = None
    sampled_constrained: SampledRows | None = None
    beams: tuple[Tensor, ...] = ()
    alternatives: Tensor | None = None
    most_alternatives: int = 0
    attention: Tensor | None = None

    @property
    def are_greedy(self) -> bool:
        """Whether every row takes the model's most probable token."""
        return not (self.constrain or self.sampled or self.beams)

    @property
    def needs_table(self) -> bool:
        """Whether the log-probabilities of all tokens are needed."""
        return self.alternatives is not None or self.constrain or bool(self.beams)

    @property
    def constrain(self) -> bool:
        """Whether a row has tokens that it may not take, or penalties."""
        values = (self.min_tokens, self.prefix, self.repetition_penalty)
        return any(value is not None for value in values) or bool(self.no_repeat_ngrams or self.forbidden)


def is_plain(decode: Decode) -> bool:
    """Whether a request decodes greedily and answers with tokens alone."""
    return not (
        decode.beams > 1 or decode.temperature > 0 or _is_constrained(decode) or decode.alternatives or decode.attention
    )


def _is_constrained(decode: Decode) -> bool:
    """Whether a request has tokens that it may not take, or penalties."""
    rules = (decode.min_tokens, decode.no_repeat_ngram, decode.forbidden, decode.prefix)
    return decode.repetition_penalty != 1.0 or any(rules)


def options_of(requests: Sequence[tuple[Decode, Sequence[int]]], device: torch.device) -> SamplingOptions:
    """Options of running requests, each with its rows."""
    by_row = [(row, decode) for decode, rows in requests for row in rows]

    def put(values: Any) -> Tensor:
        return to_device(torch.tensor(values), device)

    def values_of(name: str, default: float) -> RowValues | None:
        pairs = [(row, value) for row, decode in by_row if (value := getattr(decode, name)) != default]
        return RowValues(*(put(column) for column in zip(*pairs, strict=True))) if pairs else None

    def drawn(pairs: list[tuple[int, Decode]]) -> SampledRows | None:
        if not pairs:
            return None
        return SampledRows(
            put([row for row, _ in pairs]),
            put([decode.temperature for _, decode in pairs]),
            put([decode.top_k for _, decode in pairs]),
            put([decode.top_p for _, decode in pairs]),
            put([decode.min_p for _, decode in pairs]),
            put([decode.seed for _, decode in pairs]),
            is_cut=any(decode.top_k or decode.top_p < 1 or decode.min_p for _, decode in pairs),
            widest=max(decode.top_k for _, decode in pairs) if all(decode.top_k for _, decode in pairs) else 0,
        )

    forced = [(row, decode.prefix) for row, decode in by_row if decode.prefix]
    longest = max((len(prefix) for _, prefix in forced), default=0)
    free, bound = ([pair for pair in by_row if _is_constrained(pair[1]) is wanted] for wanted in (False, True))
    constrained = [row for row, decode in bound if decode.beams == 1 and not decode.temperature]
    widths = sorted({decode.beams for decode, _ in requests} - {1})
    sizes = sorted({decode.no_repeat_ngram for _, decode in by_row} - {0})
    forbidden = sorted({tuple(decode.forbidden) for _, decode in by_row} - {()})
    alternatives = [row for row, decode in by_row if decode.alternatives]
    attention = [row for row, decode in by_row if decode.attention]
    return SamplingOptions(
        min_tokens=values_of("min_tokens", 0),
        prefix=RowValues(put([row for row, _ in forced]), put([ids + [-1] * (longest - len(ids)) for _, ids in forced]))
        if forced
        else None,
        repetition_penalty=values_of("repetition_penalty", 1.0),
        no_repeat_ngrams=tuple(
            (size, put([row for row, decode in by_row if decode.no_repeat_ngram == size])) for size in sizes
        ),
        forbidden=tuple(
            (put(ids), put([row for row, decode in by_row if tuple(decode.forbidden) == ids])) for ids in forbidden
        ),
        sampled=drawn([pair for pair in free if pair[1].temperature > 0]),
        constrained=put(constrained) if constrained else None,
        sampled_constrained=drawn([pair for pair in bound if pair[1].temperature > 0]),
        beams=tuple(put([list(rows) for decode, rows in requests if decode.beams == width]) for width in widths),
        alternatives=put(alternatives) if alternatives else None,
        most_alternatives=max((decode.alternatives for decode, _ in requests), default=0),
        attention=put(attention) if attention else None,
    )
