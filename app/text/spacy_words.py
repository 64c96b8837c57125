"""Splits texts into words with the optional package `spacy`. Uses a language's rules, and no model of spaCy."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Lock

from app.errors import InvalidManifest
from app.text.word import Word


@contextmanager
def _without_torch() -> Iterator[None]:
    """Import spaCy without torch. spaCy imports torch if it is installed, which would cost a front end its memory."""
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["torch"]


with _without_torch():
    import spacy


_ZONE = 200_000  # characters of one memory zone
_LONGEST = 500  # characters without white space that are split at once: spaCy takes quadratic time for "((((("
_UNBROKEN = re.compile(r"\S+")


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """The parts of a text that are split one by one: the whole text, or cut within unbroken words that are too long."""
    start = 0
    if max(map(len, text.split()), default=0) > _LONGEST:
        for word in _UNBROKEN.finditer(text):
            for end in range(word.start() + _LONGEST, word.end(), _LONGEST):
                yield start, end
                start = end
    yield start, len(text)


class SpacyWords:
    """spaCy's word rules of one language.

    spaCy stores every new string until the current memory zone ends. A new zone begins every `_ZONE` characters, so
    memory stays bounded.
    """

    def __init__(self, language: str, *, lower: bool, special: Sequence[str] = ()) -> None:
        """`special` words are never split."""
        try:
            self._language = spacy.blank(language)
        except ImportError as error:
            raise InvalidManifest(f"spaCy has no rules for the language {language!r}: {error}") from error
        for word in special:
            self._language.tokenizer.add_special_case(word, [{"ORTH": word}])  # type: ignore[union-attr]
        self._lower = lower
        self._lock = Lock()
        self._zone, self._remaining = ExitStack(), 0

    def __call__(self, text: str) -> list[Word]:
        with self._lock:
            self._remaining -= len(text)
            if self._remaining < 0:
                self._zone.close()
                self._zone.enter_context(self._language.memory_zone())
                self._remaining = _ZONE
            words = [
                (token.text, start + token.idx)
                for start, end in _pieces(text)
                for token in self._language.tokenizer(text[start:end])
            ]
        return [Word(word.lower() if self._lower else word, start, start + len(word)) for word, start in words]
