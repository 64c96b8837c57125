"""Decoded tokens with their alternatives: arrays until they are JSON, since there may be too many to be objects."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from app.engine.protocol import Alternatives, join_alternatives
from app.json_pieces import JsonInPieces, json_array
from app.text.tokenizer import TextTokenizer

_PIECE = 512  # tokens and alternatives that are encoded at once


class PossibleToken(NamedTuple):
    """One of the most probable tokens of a place: its id, spelling and natural log-probability."""

    id: int
    text: str
    logprob: float


class Token(NamedTuple):
    """A decoded token, with the most probable tokens of its place."""

    id: int
    text: str
    logprob: float
    alternatives: Sequence[PossibleToken]


class _AlternativeJson(msgspec.Struct, gc=False):
    text: str
    logprob: float


class _TokenJson(msgspec.Struct, gc=False):
    text: str
    logprob: float
    alternatives: list[_AlternativeJson]


class EmittedTokens(JsonInPieces, frozen=True, eq=False):
    """Decoded tokens, the end token included, and `shown` of the `alternatives` of each."""

    tokenizer: TextTokenizer
    ids: Sequence[int]
    log_probs: Sequence[float]
    alternatives: Alternatives | None
    shown: int

    def __len__(self) -> int:
        return len(self.ids)

    def since(self, first: int) -> "EmittedTokens":
        """The tokens from `first` on."""
        alternatives = self.alternatives and self.alternatives.rows(first)
        return EmittedTokens(self.tokenizer, self.ids[first:], self.log_probs[first:], alternatives, self.shown)

    def without_alternatives(self) -> "EmittedTokens":
        """The tokens alone, which take less time."""
        return EmittedTokens(self.tokenizer, self.ids, self.log_probs, None, 0)

    def parts(self) -> Iterator[list[Token]]:
        """The tokens as objects, a few at a time."""
        step = max(1, _PIECE // (1 + self.shown))
        for first in range(0, len(self), step):
            last = first + step
            ids, log_probs = self.ids[first:last], self.log_probs[first:last]
            places = zip(ids, log_probs, self._alternatives(first, first + len(ids)), strict=True)
            yield [
                Token(token, self.tokenizer.piece(token), min(value, 0.0), others) for token, value, others in places
            ]

    def _alternatives(self, first: int, last: int) -> list[list[PossibleToken]]:
        if self.alternatives is None or not self.shown:
            return [[] for _ in range(first, last)]
        return possible_tokens(self.tokenizer, self.alternatives.rows(first, last), self.shown)

    def json(self) -> Iterator[bytes]:
        """See `JsonInPieces.json`."""
        return json_array([_json(token) for token in part] for part in self.parts())


def possible_tokens(tokenizer: TextTokenizer, places: Alternatives, shown: int) -> list[list[PossibleToken]]:
    """The `shown` most probable tokens of each place, best first, without those that the model excludes."""
    ids = np.frombuffer(places.ids.numbers, np.int32).reshape(-1, places.ids.columns)[:, :shown].tolist()
    values = np.frombuffer(places.log_probs.numbers, np.float32).reshape(-1, places.log_probs.columns)[:, :shown]
    return [
        [
            PossibleToken(token, tokenizer.piece(token), min(value, 0.0))
            for token, value in zip(*place, strict=True)
            if value > float("-inf")
        ]
        for place in zip(ids, values.tolist(), strict=True)
    ]


def join_tokens(parts: Sequence[EmittedTokens]) -> EmittedTokens:
    """The tokens of one or more sentences, in order."""
    first = parts[0]
    alternatives = [part.alternatives for part in parts if part.alternatives is not None]
    return EmittedTokens(
        first.tokenizer,
        [token for part in parts for token in part.ids],
        [value for part in parts for value in part.log_probs],
        join_alternatives(alternatives) if alternatives else None,
        first.shown,
    )


def _json(token: Token) -> _TokenJson:
    return _TokenJson(
        token.text, token.logprob, [_AlternativeJson(other.text, other.logprob) for other in token.alternatives]
    )
