"""Decoding options of the running rows as tensors, rebuilt when a row joins, leaves or moves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
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
    return is_free(decode) and not decode.temperature > 0


def is_free(decode: Decode) -> bool:
    """Whether a request takes or draws any token, and answers with tokens alone."""
    return not (decode.beams > 1 or _is_constrained(decode) or decode.alternatives or decode.attention)


def _is_constrained(decode: Decode) -> bool:
    """Whether a request has tokens that it may not take, or penalties."""
    rules = (decode.min_tokens, decode.no_repeat_ngram, decode.forbidden, decode.prefix)
    return decode.repetition_penalty != 1.0 or any(rules)


def options_of(requests: Sequence[tuple[Decode, Sequence[int]]], device: torch.device) -> SamplingOptions:
    """Options of running requests, each with its rows."""
    running = _Rows([(row, _after_past(decode)) for decode, rows in requests for row in rows], device)
    free, bound = running.where(lambda decode: not _is_constrained(decode)), running.where(_is_constrained)
    widths = sorted({decode.beams for decode, _ in requests} - {1})
    return SamplingOptions(
        min_tokens=running.values_of("min_tokens", 0),
        prefix=running.prefixes(),
        repetition_penalty=running.values_of("repetition_penalty", 1.0),
        no_repeat_ngrams=running.no_repeat_ngrams(),
        forbidden=running.forbidden(),
        sampled=free.drawn(),
        constrained=bound.where(lambda decode: decode.beams == 1 and not decode.temperature).rows(),
        sampled_constrained=bound.drawn(),
        beams=tuple(
            running.put([list(rows) for decode, rows in requests if decode.beams == width]) for width in widths
        ),
        alternatives=running.where(lambda decode: decode.alternatives > 0).rows(),
        most_alternatives=max((decode.alternatives for decode, _ in requests), default=0),
        attention=running.where(lambda decode: decode.attention).rows(),
    )


class _Rows:
    """Some rows with the options of their requests, and tensors of these."""

    def __init__(self, by_row: Sequence[tuple[int, Decode]], device: torch.device) -> None:
        self._by_row = by_row
        self._device = device

    def where(self, holds: Callable[[Decode], bool]) -> "_Rows":
        """The rows whose options meet a condition."""
        return _Rows([(row, decode) for row, decode in self._by_row if holds(decode)], self._device)

    def put(self, values: Any) -> Tensor:
        """Values on the device."""
        return to_device(torch.tensor(values), self._device)

    def rows(self) -> Tensor | None:
        """(some,); None without any."""
        return self.put([row for row, _ in self._by_row]) if self._by_row else None

    def values_of(self, name: str, default: float) -> RowValues | None:
        """The values of an option where it is not the default; None if it is that in all rows."""
        pairs = [(row, value) for row, decode in self._by_row if (value := getattr(decode, name)) != default]
        return RowValues(*(self.put(column) for column in zip(*pairs, strict=True))) if pairs else None

    def prefixes(self) -> RowValues | None:
        """Forced tokens, -1 past their end."""
        forced = [(row, decode.prefix) for row, decode in self._by_row if decode.prefix]
        if not forced:
            return None
        longest = max(len(prefix) for _, prefix in forced)
        padded = [[*prefix, *[-1] * (longest - len(prefix))] for _, prefix in forced]
        return RowValues(self.put([row for row, _ in forced]), self.put(padded))

    def no_repeat_ngrams(self) -> tuple[tuple[int, Tensor], ...]:
        """Each size with its rows."""
        sizes = sorted({decode.no_repeat_ngram for _, decode in self._by_row} - {0})
        return tuple(
            (size, self.put([row for row, decode in self._by_row if decode.no_repeat_ngram == size])) for size in sizes
        )

    def forbidden(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """Each set of ids with its rows."""
        sets = sorted({tuple(decode.forbidden) for _, decode in self._by_row} - {()})
        return tuple(
            (self.put(ids), self.put([row for row, decode in self._by_row if tuple(decode.forbidden) == ids]))
            for ids in sets
        )

    def drawn(self) -> SampledRows | None:
        """The rows that are sampled; None without any."""
        pairs = [(row, decode) for row, decode in self._by_row if decode.temperature > 0]
        if not pairs:
            return None
        return SampledRows(
            self.put([row for row, _ in pairs]),
            self.put([decode.temperature for _, decode in pairs]),
            self.put([decode.top_k for _, decode in pairs]),
            self.put([decode.top_p for _, decode in pairs]),
            self.put([decode.min_p for _, decode in pairs]),
            self.put([_seed_after(decode.seed, decode.drawn) for _, decode in pairs]),
            is_cut=any(decode.top_k or decode.top_p < 1 or decode.min_p for _, decode in pairs),
            widest=max(decode.top_k for _, decode in pairs) if all(decode.top_k for _, decode in pairs) else 0,
        )


def _after_past(decode: Decode) -> Decode:
    """Options that count steps from the first token of `past`."""
    count = len(decode.past)
    if not count:
        return decode
    return msgspec.structs.replace(
        decode,
        min_tokens=decode.min_tokens + count if decode.min_tokens else 0,
        prefix=[*decode.past, *decode.prefix] if decode.prefix else [],
        drawn=decode.drawn - count,
    )


def _seed_after(seed: int, drawn: int) -> int:
    """The seed whose numbers are those of `seed` without the first `drawn`, see `sampling.uniform`; 64 bits with a
    sign."""
    moved = (seed + drawn * 0x9E3779B97F4A7C15) % 2**64
    return moved - 2**64 if moved >= 2**63 else moved
