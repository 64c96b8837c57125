"""The ids of words that were read before: a text of known words needs no tokenizer."""

from collections.abc import Sequence
from typing import Any

import msgspec
from tokenizers import Tokenizer

_MOST_WORDS = 16_384  # a few megabytes
_MOST_CHARS = 64  # of a word that is kept
_WITHIN_WORDS = ("NFC", "Lowercase", "Punctuation", "Digits")  # steps that never join or move what a space parts


def reads_words_alone(tokenizer: Tokenizer) -> bool:
    """Whether the ids of a text with single spaces between its words are those of each word, one after the other: its
    first step of splitting parts it at spaces, and no other step looks beyond a word."""
    first, *others = _steps(tokenizer.pre_tokenizer) or [{}]
    if first.get("type") != "Metaspace" or not first["split"] or first["prepend_scheme"] != "always":
        return False
    if tokenizer.truncation is not None or tokenizer.padding is not None or getattr(tokenizer.model, "dropout", None):
        return False
    if not all(token.special for token in tokenizer.get_added_tokens_decoder().values()):
        return False  # it is looked for in the whole text
    return all(map(_is_within_words, [*_steps(tokenizer.normalizer), *others]))


def _steps(part: Any) -> list[dict[str, Any]]:
    """The steps of a normalizer or of a pre-tokenizer, as the tokenizer's file describes them."""
    if part is None:
        return []
    step = msgspec.json.decode(part.__getstate__())
    return step.get("normalizers") or step.get("pretokenizers") or [step]


def _is_within_words(step: dict[str, Any]) -> bool:
    if step["type"] != "Replace":
        return step["type"] in _WITHIN_WORDS
    found, replacement = step["pattern"].get("String"), step["content"]
    return bool(found) and " " not in found + replacement


class WordIds:
    """Reads texts with single spaces between their words by a tokenizer that reads words alone. It keeps the ids of the
    words that it read, and begins anew when these are more than `most`. Threads may share it."""

    def __init__(self, tokenizer: Tokenizer, *, most: int = _MOST_WORDS) -> None:
        self._tokenizer = tokenizer
        self._most = most
        self._known: dict[str, Sequence[int]] = {}

    def __call__(self, text: str) -> list[int]:
        """The ids of a text."""
        ids: list[int] = []
        known = self._known
        for word in text.split(" "):
            ids += known.get(word) or self._read(word)
        return ids

    def _read(self, word: str) -> Sequence[int]:
        ids: Sequence[int] = self._tokenizer.encode(word, add_special_tokens=False).ids
        if len(word) <= _MOST_CHARS:
            if len(self._known) >= self._most:
                self._known.clear()
            self._known[word] = tuple(ids)
        return ids
