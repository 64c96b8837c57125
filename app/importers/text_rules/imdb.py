"""The ids of `keras.datasets.imdb`: rank of a word plus 3."""

from collections.abc import Mapping
from typing import Literal

from app.importers.tokenizer import Vocabulary
from app.store.manifest import FixedLength

Splitting = Literal["text_to_word_sequence", "split"]


def imdb(
    word_index: Mapping[str, int],
    num_words: int,
    *,
    splitting: Splitting = "text_to_word_sequence",
    start: int | None = 1,
    unknown: int | Literal["skip"] = 2,
    index_from: int = 3,
    length: FixedLength | None = None,
) -> Vocabulary:
    """`word_index` is that of `imdb.get_word_index()`: ranks from 1. `num_words` are the rows of the embedding: rarer
    words are unknown. `splitting`: Keras' `text_to_word_sequence`, or `text.lower().split()`. `start`: the id before
    every text, None for none. `unknown`: 2 in the data set; 5 for `word_index.get(word, 2) + 3`."""
    raise NotImplementedError
