"""Keras' `Tokenizer` of `keras.preprocessing.text`, from its JSON or its pickle."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Regex, decoders
from tokenizers.normalizers import Normalizer, Replace
from tokenizers.pre_tokenizers import Split

from app.errors import ImportFailed
from app.importers.reading import ForeignObject, Plain
from app.importers.tokenizer import Vocabulary, checked, index_of
from app.store.text_input import CleaningStep, FixedLength, TokenizerUse
from app.text.word_tokenizers import CHARACTERS, any_of, no_word, without, word_file

MOST_WORDS = 10_000_000  # more than any embedding has rows
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
    something else. Raises ImportFailed if it cannot be followed."""
    state = _state(plain)
    if state is None:
        return None
    if state.get("analyzer") is not None:
        raise ImportFailed("the Tokenizer splits texts by a function of its own (analyzer), which is not in the file")
    split, filters, oov = state.get("split", " "), state.get("filters", FILTERS), state.get("oov_token")
    num_words = state.get("num_words")
    whole = _is_text(split) and split and _is_text(filters or "") and _is_text(oov or "") and _is_id(num_words or 0)
    if not whole:
        raise ImportFailed("the Tokenizer is damaged: split, filters, oov_token or num_words has no usual value")
    return KerasTokenizer(
        word_index=_word_index(state.get("word_index")),
        num_words=num_words or None,
        filters=filters or "",
        lower=bool(state.get("lower", True)),
        split=split,
        char_level=bool(state.get("char_level", False)),
        oov_token=oov,
    )


def _state(plain: Plain) -> Mapping[str, Any] | None:
    """Its attributes; None if it is something else."""
    plain = _parsed(plain)
    if isinstance(plain, ForeignObject):
        is_tokenizer = plain.name.endswith(".text.Tokenizer") and "word_index" in plain.state
        return plain.state if is_tokenizer else None
    if isinstance(plain, Mapping) and isinstance(plain.get("config"), Mapping):
        plain = plain["config"]
    is_config = isinstance(plain, Mapping) and "word_index" in plain and "char_level" in plain
    return plain if is_config else None


def _word_index(value: Any) -> dict[str, int]:
    """`to_json()` writes it as a text within the text."""
    value = _parsed(value)
    if isinstance(value, ForeignObject):
        value = value.entries
    fits = isinstance(value, Mapping) and all(_is_text(word) and _is_id(token) for word, token in value.items())
    if not fits or not value:
        raise ImportFailed("the Tokenizer has no word_index: it was not fitted on texts")
    return dict(value)


def _parsed(plain: Any) -> Any:
    if not isinstance(plain, str):
        return plain
    try:
        return json.loads(plain)
    except (ValueError, RecursionError):
        return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


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
    most = min(limit for limit in (tokenizer.num_words, rows, MOST_WORDS) if limit is not None)
    spellings = {token: word for word, token in tokenizer.word_index.items() if token < most}
    words = [spellings.get(token, no_word(token)) for token in range(max(spellings, default=0) + 1)]
    unk = tokenizer.oov_token if tokenizer.oov_token in words else None
    normalizers: list[Normalizer] = []
    if tokenizer.char_level:
        splits = [CHARACTERS]
    elif len(tokenizer.split) == 1:
        splits = [Split(Regex(any_of(tokenizer.split + tokenizer.filters) + "+"), "removed")]
    else:
        splits = [Split(tokenizer.split, "removed")]
        normalizers = [Replace(Regex(any_of(tokenizer.filters)), tokenizer.split)] if tokenizer.filters else []
    file = word_file(
        words,
        unk=unk,
        normalizers=normalizers,
        pre_tokenizers=[*splits, *without(stop_words)],
        decoder=decoders.Fuse() if tokenizer.char_level else None,
    )
    use = TokenizerUse(
        cleaning=checked(cleaning),
        lower=tokenizer.lower,
        length=length,
        empty="read" if length is not None and length.pad is not None else "refuse",
        hidden=tuple(index_of(words, word, "Tokenizer's") for word in hidden),
        unknown="skip" if unk is None else "unk",
    )
    return Vocabulary(file, use)
