"""A word of a text and its place, as every word splitter returns it."""

from typing import NamedTuple


class Word(NamedTuple):
    """A word, and its characters `text[start:end]`."""

    text: str
    start: int
    end: int
