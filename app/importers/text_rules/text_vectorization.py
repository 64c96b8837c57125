"""Keras' layer `TextVectorization`."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.importers.tokenizer import Vocabulary


def vocabulary_lines(text: str) -> list[str]:
    """The words of the asset `vocabulary.txt`: words by id, the first one empty (padding), the second `[UNK]`."""
    raise NotImplementedError


def text_vectorization(
    config: Mapping[str, Any], words: Sequence[str] | None = None, *, standardize: str | None = None
) -> Vocabulary:
    """The layer with its settings (`layer["config"]`) and words (None: those in the settings). `standardize` replaces
    that of the settings if it names a function of the user's: then ImportFailed asks for it. Raises ImportFailed for
    n-grams and for an `output_mode` other than int."""
    raise NotImplementedError
