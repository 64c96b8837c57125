"""The sentences of a text, by a simple rule for English and Korean.

A line break ends a sentence. So does a full stop, question mark, exclamation mark or ellipsis, with closing quotes and
brackets after it, if white space follows and then anything but a lower-case letter; full-width marks need no space. A
full stop does not end a sentence after a title ("Dr."), after letters with full stops between them ("e.g.", "J."),
after "No." and the like before a number, and after a number that begins the sentence ("1. Open").
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from app.text.white_space import is_blank

_LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_MARKS = re.compile(
    r"""(?P<mark>[.!?\u2026]++|[\u3002\uff01\uff1f]++)["'\u2019\u201d\u00bb)\]\u300d\u300f]*+(?P<space>\s*+)(?=\S)"""
)
_FULL_WIDTH = "\u3002\uff01\uff1f"
_OPENING = "\"'\u2018\u201c\u00ab([\u300c\u300e"
_TITLES = frozenset(["approx", "capt", "cf", "col", "dr", "gen", "lt", "mr", "mrs", "ms", "prof", "sgt", "st", "vs"])
_NUMBERED = frozenset(["ch", "fig", "no", "pp", "sec", "vol"])  # before a number
_SHORT = re.compile(r"(?:\w\.)*[^\W\d_]")  # a letter, or letters with full stops between them
_LOOK = 40  # characters before and after a mark that are looked at: more than an abbreviation has
_NUMBER = re.compile(r"\W*\d+(?:\.\d+)*")


class Span(NamedTuple):
    """A sentence `text[start:end]`."""

    start: int
    end: int


def sentences_of(text: str) -> list[Span]:
    """The sentences of a text in order, without white space around them. Between two there are only white space and
    characters without width. A blank text has none."""
    spans = []
    for line in _lines(text):
        start = line.start
        for end, begin in _ends(text, line):
            spans.append(Span(start, end))
            start = begin
        spans.append(Span(start, line.end))
    return [span for span in spans if not is_blank(text[span.start : span.end])]


def _lines(text: str) -> Iterator[Span]:
    for found in _LINE.finditer(text):
        line = found[0]
        yield Span(found.start() + len(line) - len(line.lstrip()), found.end() - len(line) + len(line.rstrip()))


def _ends(text: str, line: Span) -> Iterator[tuple[int, int]]:
    """Where a sentence of the line ends, and where the next one starts."""
    start = line.start
    for found in _MARKS.finditer(text, line.start, line.end):
        before = text[max(start, found.start() - _LOOK) : found.start()]
        after = text[found.end() : found.end() + _LOOK].lstrip(_OPENING)
        if found["mark"][0] in _FULL_WIDTH or (found["space"] and _is_end(before, found["mark"], after)):
            yield found.start("space"), found.end()
            start = found.end()


def _is_end(before: str, mark: str, after: str) -> bool:
    """Whether a mark between a sentence and what follows white space ends the sentence."""
    if after[:1].islower():
        return False
    word = before.split()[-1].lstrip(_OPENING).lower() if mark == "." and before.strip() else ""
    is_part_of_word = word in _TITLES or _SHORT.fullmatch(word) or (word in _NUMBERED and after[:1].isdigit())
    return not (is_part_of_word or (mark == "." and _NUMBER.fullmatch(before)))
