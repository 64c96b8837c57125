"""Where the tokens of a growing text are settled: before its last word, since no token spans a space."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from app.store.text_input import Replacement, TokenizerUse

Encode = Callable[[str], Sequence[int]]


class SplitText(NamedTuple):
    """The ids of the settled part of a text, those of the rest, and the characters of the settled part."""

    settled: list[int]
    rest: list[int]
    end: int


def why_not_settled(use: TokenizerUse) -> str | None:
    """Why the tokens of a text may change wherever it goes on; None if they are settled before its last word."""
    if use.split != "file":
        return f"the rules of {use.split} look at the whole text"
    if any(isinstance(step, Replacement) for step in use.cleaning):
        return "its cleaning replaces text across words"
    if use.reverse:
        return "it reads a text from its end"
    if use.length is not None:
        return "it pads or cuts a text to a fixed length"
    return None


def split_text(text: str, use: TokenizerUse, encode: Encode) -> SplitText:
    """The settled part of a text and the rest, which has a token. The ids of both are those of the whole."""
    whole, end = list(encode(text)), len(text)
    while end := _last_word(text[:end], use):
        if rest := list(encode(text[end:])):
            settled = list(encode(text[:end]))
            return SplitText(settled, rest, end) if settled + rest == whole else SplitText([], whole, 0)
        end -= len(text) - end  # twice as much: a text may end in thousands of words without a token
        if end <= 0:
            break
    return SplitText([], whole, 0)


def _last_word(text: str, use: TokenizerUse) -> int:
    """Where the white space before the last word begins; 0 for a single word."""
    is_space = str.isspace if use.white_space == "plain" else " ".__eq__
    place = len(text)
    while place and is_space(text[place - 1]):
        place -= 1
    while place and not is_space(text[place - 1]):
        place -= 1
    while place and is_space(text[place - 1]):
        place -= 1
    return place
