"""The sentences of a text, by a simple rule for English and Korean.

A line break ends a sentence. So does a full stop, question mark, exclamation mark or ellipsis, with closing quotes and
brackets after it, if white space follows and then anything but a lower-case letter; full-width marks need no space. A
full stop does not end a sentence after a title ("Dr."), after letters with full stops between them ("e.g.", "J."),
after "No." and the like before a number, and after a number that begins the sentence ("1. Open").
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from app.text.white_space import plain

_BREAKS = "\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
_FULL_WIDTH = "\u3002\uff01\uff1f"
_LINE = re.compile(f"[^{_BREAKS}]+")
_MARKS = re.compile(rf"""(?P<mark>[.!?\u2026{_FULL_WIDTH}]++)["'\u2019\u201d\u00bb)\]\u300d\u300f]*+(?P<space> ?)""")
_MARKS_OR_BREAKS = re.compile(rf"[.!?\u2026{_FULL_WIDTH}{_BREAKS}]+")
_OPENING = "\"'\u2018\u201c\u00ab([\u300c\u300e"
_TITLES = frozenset(["approx", "capt", "cf", "col", "dr", "gen", "lt", "mr", "mrs", "ms", "prof", "sgt", "st", "vs"])
_NUMBERED = frozenset(["ch", "fig", "no", "pp", "sec", "vol"])  # before a number
_INITIAL = "[A-Za-z\u00c0-\u024f]"  # a Hangul syllable is a word
_SHORT = re.compile(rf"(?:{_INITIAL}\.)*{_INITIAL}")  # a letter, or letters with full stops between them
_LOOK = 40  # characters before and after a mark that are looked at: more than an abbreviation has
_NUMBER = re.compile(r"\W*\d+(?:\.\d+)*")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")


class Span(NamedTuple):
    """A sentence `text[start:end]`."""

    start: int
    end: int


def sentences_of(text: str) -> list[Span]:
    """The sentences of a text in order, without white space around them. Between two there are no letters and digits;
    what is before the first one and after the last one belongs to them. A blank text has none."""
    parts = list(_parts(text))
    sentences = [part for part in parts if _LETTER_OR_DIGIT.search(text, part.start, part.end)] or parts[:1]
    if sentences:
        sentences[0] = sentences[0]._replace(start=parts[0].start)
        sentences[-1] = sentences[-1]._replace(end=parts[-1].end)
    return sentences


def most_sentences(text: str) -> int:
    """The number of sentences that a text has at most, which is found much faster than they are."""
    return 1 + sum(1 for _ in _MARKS_OR_BREAKS.finditer(text))


def _parts(text: str) -> Iterator[Span]:
    """The sentences, and punctuation and pictures that stand alone. Characters without width change nothing."""
    for line in _LINE.finditer(text):
        clean, places = plain(line[0])
        start = 0
        for end, begin in _ends(clean):
            yield Span(line.start() + places[start], line.start() + places[end - 1] + 1)
            start = begin
        if clean:
            yield Span(line.start() + places[start], line.start() + places[-1] + 1)


def _ends(line: str) -> Iterator[tuple[int, int]]:
    """Where a sentence ends within a line, and where the next one starts."""
    start = 0
    for found in _MARKS.finditer(line):
        if found.end() == len(line):
            return
        before = line[max(start, found.start() - _LOOK) : found.start()]
        after = line[found.end() : found.end() + _LOOK].lstrip(_OPENING)
        is_full_width = any(mark in _FULL_WIDTH for mark in found["mark"])
        if is_full_width or (found["space"] and _is_end(before, found["mark"], after)):
            yield found.start("space"), found.end()
            start = found.end()


def _is_end(before: str, mark: str, after: str) -> bool:
    """Whether a mark between a sentence and what follows white space ends the sentence."""
    if after[:1].islower():
        return False
    word = before.split()[-1].lstrip(_OPENING).lower() if mark == "." and before.strip() else ""
    is_part_of_word = word in _TITLES or _SHORT.fullmatch(word) or (word in _NUMBERED and after[:1].isdigit())
    return not (is_part_of_word or (mark == "." and _NUMBER.fullmatch(before)))
