"""Words with their universal part-of-speech tags: Universal Dependencies English EWT, with its own split."""

import gzip
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from training.data import Split

FILE = "ewt_tags.tsv.gz"
TAGS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM",
    "VERB", "X",
)  # fmt: skip
_SHORT = (
    "Mr|Mrs|Ms|Dr|St|Jr|Sr|Prof|Gen|Gov|Sen|Rep|Lt|Col|Sgt|Inc|Corp|Co|Ltd|vs|etc|"
    "Jan|Feb|Mar|Apr|Aug|Sept|Sep|Oct|Nov|Dec|[A-HJ-Z]"
)
_PREFIXES = "e|co|re|pre|post|non|anti|ex|un|de|sub|pro|semi|multi|mid|self"
_SINGLE_WORDS = (
    r"(?:https?://|www\.)[^▁]*[^▁\p{P}]/?",
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    r"(?:\p{L}\.){2,}",
    rf"(?<=▁)(?:{_SHORT})\.(?!\w)",
    r"\d+(?:[.,:]\d+)+",
    rf"(?<=▁)(?i:{_PREFIXES})-\w+",
    r"(?i:n['’]t|['’](?:s|m|d|re|ve|ll))(?!\w)",
    r"(?<=▁can|▁Can)not(?!\w)",
    r"\.{2,}|-{2,}|[!?]{2,}",
    r"[^\w▁]",
)
# What the treebank writes as one word, beside runs of letters and digits: addresses, abbreviations, numbers, the halves
# of "don't" and "cannot", and every other sign on its own. A space is U+2581, at the start of a piece.
WORDS = rf"▁?(?:{'|'.join(_SINGLE_WORDS)})"
_JOINS_BEFORE = re.compile(r"[.,!?;:%)\]}…]+|n['’]t|['’](?:s|m|d|re|ve|ll)?", re.IGNORECASE)
_JOINS_AFTER = re.compile(r"[(\[{$£€#]")


class Tagged(NamedTuple):
    """A sentence: its words, and a tag for each."""

    words: list[str]
    tags: list[str]


class Placed(NamedTuple):
    """A text, and the place `text[start:end]` of each of its words."""

    text: str
    places: list[tuple[int, int]]


def read_tags(data: Path, split: Split) -> list[Tagged]:
    """The sentences of a split."""
    sentences = []
    with gzip.open(data / FILE, "rt", encoding="utf8", newline="\n") as lines:
        for line in lines:
            mine, words, tags = line.rstrip("\n").split("\t")
            if mine == split:
                sentences.append(Tagged(words.split(" "), tags.split(" ")))
    return sentences


def spaced(words: Sequence[str]) -> Placed:
    """Words with a space between any two."""
    return _joined([(word, True) for word in words])


def as_written(words: Sequence[str]) -> Placed:
    """Words as people write them: no space before a full stop or the second half of "don't", none after "(". A hyphen
    between two words has none around it. A straight quote opens and closes by turns."""
    pairs = []
    is_quoted = joins = False
    for place, word in enumerate(words):
        space = not joins and not _JOINS_BEFORE.fullmatch(word)
        joins = _JOINS_AFTER.fullmatch(word) is not None
        if word == '"':
            space, joins, is_quoted = not is_quoted, not is_quoted, not is_quoted
        elif word in ("-", "/") and 0 < place < len(words) - 1 and _are_letters(words[place - 1], words[place + 1]):
            space, joins = False, True
        pairs.append((word, space))
    return _joined(pairs)


def _are_letters(before: str, after: str) -> bool:
    return before[-1].isalnum() and after[0].isalnum()


def _joined(pairs: Sequence[tuple[str, bool]]) -> Placed:
    """Words, each with whether a space is before it."""
    text, places = "", []
    for word, space in pairs:
        text += " " if space and text else ""
        places.append((len(text), len(text) + len(word)))
        text += word
    return Placed(text, places)
