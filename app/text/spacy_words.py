"""Words as spaCy cuts them: the optional package `spacy`, of which only the rules of a language are used, no model."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

from app.errors import InvalidManifest
from app.text.words import Word


@contextmanager
def _without_torch() -> Iterator[None]:
    """spaCy imports torch wherever it is installed, and a front end has no memory to spare for it."""
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


_ZONE = 200_000  # characters


class SpacyWords:
    """spaCy's rules for one language.

    spaCy keeps every string that it meets for ever, or until the end of a memory zone: a server ends them now and then.
    """

    def __init__(self, language: str, *, lower: bool) -> None:
        try:
            self._language = spacy.blank(language)
        except ImportError as error:
            raise InvalidManifest(f"spaCy cannot cut texts in {language!r}: {error}") from error
        self._lower = lower
        self._turn = Lock()
        self._zone, self._room = ExitStack(), 0

    def __call__(self, text: str) -> list[Word]:
        with self._turn:
            self._room -= len(text)
            if self._room < 0:
                self._zone.close()
                self._zone.enter_context(self._language.memory_zone())
                self._room = _ZONE
            words = [(token.text, token.idx) for token in self._language.tokenizer(text)]
        return [Word(word.lower() if self._lower else word, start, start + len(word)) for word, start in words]
