"""The words of a text with the tokens of each, for answers that label words."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Token(NamedTuple):
    """A token of a text: its characters `text[start:end]`, and the number of its word as the tokenizer splits it."""

    start: int
    end: int
    word: int


@dataclass(frozen=True, slots=True)
class PlacedWord:
    """A word, its characters `text[start:end]`, and the numbers of its first and last token, counted in text order."""

    text: str
    start: int
    end: int
    first: int
    last: int


def split_words(text: str, tokens: Sequence[Token]) -> list[PlacedWord]:
    """The words of a text: as the tokenizer splits it, and at white space. The digits of a number stay together. A
    token of white space is in no word."""
    words: list[PlacedWord] = []
    before = -1  # the number of the last word as the tokenizer splits
    for number, token in enumerate(tokens):
        start, end = _trimmed(text, token.start, token.end)
        if start == end:
            continue
        last = words[-1] if words else None
        if last is not None and _goes_on(text, last.end, start, same=token.word == before):
            end = max(last.end, end)
            words[-1] = PlacedWord(text[last.start : end], last.start, end, last.first, number)
        else:
            words.append(PlacedWord(text[start:end], start, end, number, number))
        before = token.word
    return words


def given_words(text: str, places: Sequence[tuple[int, int]], tokens: Sequence[Token]) -> Iterator[PlacedWord | None]:
    """The words `text[start:end]` of increasing `places`; None for one that no token covers."""
    trimmed = [_trimmed(text, token.start, token.end) for token in tokens]
    first = 0
    for start, end in places:
        while first < len(tokens) and trimmed[first][1] <= start:
            first += 1
        last = first
        while last < len(tokens) and trimmed[last][0] < end:
            last += 1
        own = [number for number in range(first, last) if trimmed[number][0] < trimmed[number][1]]
        yield PlacedWord(text[start:end], start, end, own[0], own[-1]) if own else None


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The range without white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    while start < end < len(text) and _combines(text[end]):  # the tokenizer may end before an accent
        end += 1
    return start, end


def _combines(letter: str) -> bool:
    """Whether a letter is part of the one before it: an accent, or a vowel or final of decomposed Hangul."""
    return unicodedata.combining(letter) != 0 or "\u1160" <= letter <= "\u11ff"


def _goes_on(text: str, end: int, start: int, *, same: bool) -> bool:
    """Whether a token at `start` belongs to the word that ends at `end`; `same`: the tokenizer splits there no word."""
    is_number = end == start and text[end - 1].isdigit() and text[start].isdigit()
    return is_number or (same and not any(letter.isspace() for letter in text[end:start]))
