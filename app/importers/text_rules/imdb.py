"""The ids of `keras.datasets.imdb`: rank of a word plus 3."""

from collections.abc import Mapping
from typing import Literal

from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from app.errors import ImportFailed
from app.importers.text_rules.keras_tokenizer import FILTERS
from app.importers.tokenizer import Vocabulary
from app.store.text_input import FixedLength, TokenizerUse
from app.text.word_tokenizers import SPACES, any_of, no_word, word_file

Splitting = Literal["text_to_word_sequence", "split"]
_SPLITS = {"text_to_word_sequence": Split(Regex(any_of(" " + FILTERS) + "+"), "removed"), "split": SPACES}


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
    if splitting not in _SPLITS:
        raise ImportFailed(f"there is no splitting {splitting!r}; choose one of {', '.join(_SPLITS)}")
    most = max(word_index.values(), default=0) + index_from
    spellings: dict[int, str] = {}
    for word, rank in word_index.items():
        if 0 <= rank + index_from < num_words:
            spellings.setdefault(rank + index_from, word)
    if not spellings:
        raise ImportFailed(f"word_index has no word with an id below num_words ({num_words})")
    words = [spellings.get(token, no_word(token)) for token in range(min(most + 1, num_words))]
    for name, token in (("start", start), ("unknown", unknown)):
        if isinstance(token, int) and not 0 <= token < len(words):
            raise ImportFailed(f"{name} is {token}; the ids of this model are 0 to {len(words) - 1}")
    is_never_empty = start is not None or (length is not None and length.pad is not None)
    use = TokenizerUse(
        lower=True,
        prepend=() if start is None else (start,),
        unknown=unknown,
        length=length,
        empty="read" if is_never_empty else "refuse",
    )
    return Vocabulary(word_file(words, unk=None, pre_tokenizers=[_SPLITS[splitting]]), use)
