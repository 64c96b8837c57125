"""Splits texts into words with fastai's rules and the optional package `spacy`.

The rules rewrite a text in this order, and then spaCy splits it: HTML is repaired; a character that is repeated becomes
`xxrep 4 !`; a word that is repeated becomes `xxwrep 3 very`; `/`, `#` and `\\` stand alone; runs of spaces become one;
words in capitals become `xxup` and small letters; words with one capital at their beginning `xxmaj` and small letters.
Each rule takes time linear in the length of the text.
"""

import html
import re
from collections.abc import Callable, Iterator, Sequence

from app.text.cleaning import Placed, followed, replaced
from app.text.spacy_words import SpacyWords
from app.text.word import Word
from app.text.words import in_lower_case, origin

_MARKS = ("xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxrep", "xxwrep", "xxup", "xxmaj")
_SPACE = "▁"
_REPAIRS = (
    ("#39;", "'"),
    ("amp;", "&"),
    ("#146;", "'"),
    ("nbsp;", " "),
    ("#36;", "$"),
    ("\\n", "\n"),
    ("quot;", "'"),
    ("<br />", "\n"),
    ('\\"', '"'),
    ("<unk>", "xxunk"),
    (" @.@ ", "."),
    (" @-@ ", "-"),
    ("...", " …"),
)
_REFERENCE = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)")
_LONGEST_NUMBER = 20  # characters; a longer one is no character's
_REPEATED = re.compile(r"(\S)\1{2,}")
_WORD = re.compile(r"\w+")
_LEAST_WORDS = 3
_SIGN = re.compile(r"[/#\\]")
_SPACES = re.compile(r" {2,}")
_UNBROKEN = re.compile(r"\S+")
_IN_CAPITALS = re.compile(r"[A-Z][^a-z\s]*")
_CAPITALISED = re.compile(r"[A-Z][^A-Z\s]*")

Change = tuple[int, int, str]


class FastaiWords:
    """fastai's words, without the `xxbos` before them. Marks such as `xxmaj` stand for no character of the text."""

    def __init__(self, language: str) -> None:
        self._words = SpacyWords(language, lower=False, special=_MARKS)

    def __call__(self, text: str) -> list[Word]:
        places: Sequence[int] = range(len(text))
        for rule in _RULES:
            text, moved = rule(text)
            places = followed(places, moved)
        words, indent = [], len(text) - len(text.lstrip())
        for word, start, end in self._words(text.strip()):
            first, last = origin(start + indent, end + indent, places)
            words.append(Word(word.replace(" ", _SPACE), first, first if word in _MARKS else last))
        return words


def _repaired(old: str, new: str) -> Callable[[str], Placed]:
    pattern = re.compile(re.escape(old))
    return lambda text: replaced(text, ((*found.span(), new) for found in pattern.finditer(text)))


def _without_references(text: str) -> Placed:
    return replaced(text, ((*found.span(), _referred(found[0])) for found in _REFERENCE.finditer(text)))


def _referred(reference: str) -> str:
    """The character of `&eacute;` or `&#233;`."""
    if reference.startswith("&#") and len(reference) > _LONGEST_NUMBER:
        return "\N{REPLACEMENT CHARACTER}"
    return html.unescape(reference)


def _without_repeated_letters(text: str) -> Placed:
    return replaced(
        text, ((*found.span(), f" xxrep {len(found[0])} {found[1]} ") for found in _REPEATED.finditer(text))
    )


def _without_repeated_words(text: str) -> Placed:
    return replaced(text, _repeated_words(text))


def _repeated_words(text: str) -> Iterator[Change]:
    """Runs of three or more equal words with white space between them, with the characters on both sides. The first
    word follows white space, which is not that behind the last run."""
    words = [found.span() for found in _WORD.finditer(text)]
    number, free = 0, 0  # the next word, and the place behind the last change
    while number < len(words):
        start, end = words[number]
        before = max(0, start - 1)
        if before < free or (start > 0 and not text[before].isspace()):
            number += 1
            continue
        last, word = number, text[start:end]
        while last + 1 < len(words) and _follows(text, words[last][1], words[last + 1], word):
            last += 1
        count = last - number + 1
        number = last + 1
        if count >= _LEAST_WORDS:
            free = min(len(text), words[last][1] + 1)
            yield before, free, f" xxwrep {count} {word} {text[words[last][1] : free]}"


def _follows(text: str, end: int, place: tuple[int, int], word: str) -> bool:
    """Whether a word stands at a place, with white space alone between the one that ends before and it."""
    start, its_end = place
    return its_end - start == len(word) and text.startswith(word, start) and text[end:start].isspace()


def _with_signs_alone(text: str) -> Placed:
    return replaced(text, ((*found.span(), f" {found[0]} ") for found in _SIGN.finditer(text)))


def _with_single_spaces(text: str) -> Placed:
    return replaced(text, ((*found.span(), " ") for found in _SPACES.finditer(text)))


def _marked(pattern: re.Pattern[str], mark: str) -> Callable[[str], Placed]:
    """Words between white space that are of a pattern, in small letters behind a mark; single letters without one."""

    def changes(text: str) -> Iterator[Change]:
        for found in _UNBROKEN.finditer(text):
            word = found[0]
            if pattern.fullmatch(word):
                if len(word) > 1:
                    yield found.start(), found.start(), f"{mark} "
                lowered = word.lower()
                if len(lowered) != len(word):  # "İ" becomes two characters
                    letters: Sequence[str] = [letter.lower() for letter in word]
                else:
                    letters = lowered
                yield from ((place, place + 1, letter) for place, letter in enumerate(letters, found.start()))

    return lambda text: replaced(text, changes(text))


_RULES: tuple[Callable[[str], Placed], ...] = (
    *(_repaired(old, new) for old, new in _REPAIRS),
    _without_references,
    _without_repeated_letters,
    _without_repeated_words,
    _with_signs_alone,
    _with_single_spaces,
    _marked(_IN_CAPITALS, "xxup"),
    _marked(_CAPITALISED, "xxmaj"),
    in_lower_case,
)
