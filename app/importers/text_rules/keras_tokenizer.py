"""Keras' `Tokenizer` of `keras.preprocessing.text`, from its JSON or its pickle."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.importers.reading import Plain
from app.importers.tokenizer import Vocabulary
from app.store.manifest import CleaningStep, FixedLength

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


@dataclass(frozen=True)
class KerasTokenizer:
    """Its settings, with Keras' names and defaults. `word_index` has all words that it was fitted on, from id 1."""

    word_index: dict[str, int]
    num_words: int | None = None
    filters: str = FILTERS
    lower: bool = True
    split: str = " "
    char_level: bool = False
    oov_token: str | None = None


def tokenizer_of(plain: Plain) -> KerasTokenizer | None:
    """The tokenizer in a file that was read: `to_json()` (as text or parsed), its `config`, or a pickle. None if it is
    something else. Raises ImportFailed if a part of it is damaged or cannot be followed (`analyzer`)."""
    raise NotImplementedError


def keras_tokenizer(
    tokenizer: KerasTokenizer,
    *,
    rows: int | None = None,
    length: FixedLength | None = None,
    cleaning: Sequence[CleaningStep] = (),
    stop_words: Sequence[str] = (),
    hidden: Sequence[str] = (),
) -> Vocabulary:
    """`texts_to_sequences`, then `length` (see `padded`). `rows` are those of the embedding, or outputs of the network:
    words with higher ids count as unknown. `cleaning` comes before Keras' own rules. `hidden` words, such as the start
    and the end of a target, are not part of an output text. Answers join words by spaces, characters by nothing. A
    text without words is read if there is padding."""
    raise NotImplementedError
