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
    """Rows that are sampled, and how; each member (some,)."""

    rows: Tensor
    temperature: Tensor
    top_k: Tensor
    top_p: Tensor
    min_p: Tensor
    seed: Tensor


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Options beyond the most probable token.

    `greedy` (some,) are rows without any. `prefix` has forced tokens, -1 past their end. `no_repeat_ngrams` are sizes
    with their rows, `forbidden` ids with theirs. `beams` has one tensor (searches, width) of rows for each width.
    `alternatives` and `attention` are the rows whose answers have them, in the order of the requests;
    `most_alternatives` is the largest number of any.
    """

    greedy: Tensor | None = None
    min_tokens: RowValues | None = None
    prefix: RowValues | None = None
    repetition_penalty: RowValues | None = None
    no_repeat_ngrams: tuple[tuple[int, Tensor], ...] = ()
    forbidden: tuple[tuple[Tensor, Tensor], ...] = ()
    sampled: SampledRows | None = None
    beams: tuple[Tensor, ...] = ()
    alternatives: Tensor | None = None
    most_alternatives: int = 0
    attention: Tensor | None = None

    @property
    def are_greedy(self) -> bool:
        """Whether every row takes the model's most probable token."""
        return not (self.constrain or self.sampled or self.beams)

    @property
    def constrain(self) -> bool:
        """Whether a row has tokens that it may not take, or penalties."""
        values = (self.min_tokens, self.prefix, self.repetition_penalty)
        return any(value is not None for value in values) or bool(self.no_repeat_ngrams or self.forbidden)


def is_plain(decode: Decode) -> bool:
    """Whether a request decodes greedily and answers with tokens alone."""
    return _is_greedy(decode) and not (decode.alternatives or decode.attention)


def _is_greedy(decode: Decode) -> bool:
    """Whether a request takes the model's most probable tokens."""
    options = (decode.temperature, decode.min_tokens, decode.no_repeat_ngram, decode.forbidden, decode.prefix)
    return decode.beams == 1 and decode.repetition_penalty == 1.0 and not any(options)


def options_of(requests: Sequence[tuple[Decode, Sequence[int]]], device: torch.device) -> SamplingOptions:
    """Options of running requests, each with its rows."""
    by_row = [(row, decode) for decode, rows in requests for row in rows]

    def put(values: Any) -> Tensor:
        return to_device(torch.tensor(values), device)

    def values_of(name: str, default: float) -> RowValues | None:
        pairs = [(row, value) for row, decode in by_row if (value := getattr(decode, name)) != default]
        return RowValues(*(put(column) for column in zip(*pairs, strict=True))) if pairs else None

    greedy = [row for row, decode in by_row if _is_greedy(decode)]
    forced = [(row, decode.prefix) for row, decode in by_row if decode.prefix]
    longest = max((len(prefix) for _, prefix in forced), default=0)
    sampled = [(row, decode) for row, decode in by_row if decode.temperature > 0]
    widths = sorted({decode.beams for decode, _ in requests} - {1})
    sizes = sorted({decode.no_repeat_ngram for _, decode in by_row} - {0})
    forbidden = sorted({tuple(decode.forbidden) for _, decode in by_row} - {()})
    alternatives = [row for row, decode in by_row if decode.alternatives]
    attention = [row for row, decode in by_row if decode.attention]
    return SamplingOptions(
        greedy=put(greedy) if greedy else None,
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
        sampled=SampledRows(
            put([row for row, _ in sampled]),
            *(put([getattr(decode, name) for _, decode in sampled]) for name in SampledRows._fields[1:]),
        )
        if sampled
        else None,
        beams=tuple(put([list(rows) for decode, rows in requests if decode.beams == width]) for width in widths),
        alternatives=put(alternatives) if alternatives else None,
        most_alternatives=max((decode.alternatives for decode, _ in requests), default=0),
        attention=put(attention) if attention else None,
    )
