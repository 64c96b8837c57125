"""The part before the ids of a Keras model: the vocabulary that follows from the options and from the files."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from app.errors import ImportFailed
from app.importers.keras.encoders import source_length
from app.importers.keras.text_options import IMDB, TOKENIZER
from app.importers.keras.understood import Understood
from app.importers.keras.values import Steps
from app.importers.layout import Given
from app.importers.options import OptionValues
from app.importers.reading import Plain
from app.importers.text_options import CHARACTERS, cleaning_of, lines_of
from app.importers.text_rules.characters import characters
from app.importers.text_rules.imdb import imdb
from app.importers.text_rules.keras_tokenizer import KerasTokenizer, keras_tokenizer, tokenizer_of
from app.importers.text_rules.lengths import padded
from app.importers.text_rules.text_vectorization import text_vectorization, vocabulary_lines
from app.importers.text_rules.words import words
from app.importers.tokenizer import Vocabulary
from app.importers.vocabularies import Role
from app.store.text_input import CleaningStep, FixedLength, Replacement
from app.text.word_tokenizers import no_word

_CLEANINGS: Mapping[str, tuple[CleaningStep, ...]] = {
    "none": (),
    "punctuation": (Replacement(pattern=r"([?.!,¿])", by=r" \1 "),),
    "tensorflow": (
        "lower",
        "without_accents",
        Replacement(pattern=r"([?.!,¿])", by=r" \1 "),
        Replacement(pattern=r"[^a-zA-Z?.!,¿]+", by=" "),
    ),
}


def length_of(steps: Steps, values: OptionValues, *, pad: int = 0) -> FixedLength | None:
    """The length of sources by the options."""
    size = source_length(steps)
    if size is None and "maxlen" in values.given:
        size = values.number_or_none("maxlen")
    return padded(size, padding=values.text("padding"), truncating=values.text("truncating"), pad=pad)


def text_needs(understood: Understood) -> Sequence[Role]:
    """The vocabularies that the user gives."""
    layer = understood.source.vectorization
    return ("source",) if layer is None or not (layer.texts or layer.config.get("vocabulary")) else ()


def source_vocabulary(understood: Understood, given: Given) -> Vocabulary:
    """The vocabulary of a network that reads an embedding."""
    steps = understood.root
    if understood.source.vectorization is not None:
        return vectorized(understood, given)
    assert steps.embedding is not None
    masked = steps.mask is not None
    return vocabulary_of("source", len(steps.embedding), given, length=length_of(steps, given.values), masked=masked)


def vocabulary_of(
    role: Role,
    rows: int,
    given: Given,
    *,
    length: FixedLength | None = None,
    hidden: Sequence[str] = (),
    masked: bool = False,
    unknown: Any = None,
) -> Vocabulary:
    """The vocabulary of a role by the options. `rows` are those of the embedding; `masked`: id 0 is not read."""
    values = given.values
    rules = values.text("rules")
    cleaning, stop_words = _cleaning(values.text("cleaning")), lines_of(values.text("stop_words"))
    listed = list(given.words[role])
    tokenizer = tokenizer_of(given.contents.get(role))
    if rules == IMDB:
        return imdb(
            _ranks(listed, given.contents.get(role)),
            rows,
            splitting=_splitting(values.text("splitting")),
            start=values.number_or_none("start"),
            unknown=_imdb_unknown(values),
            index_from=values.number("index_from"),
            length=length,
        )
    if rules == TOKENIZER and tokenizer is None and _are_characters(listed):
        rules = CHARACTERS
    if rules == TOKENIZER:
        if tokenizer is None:
            tokenizer = KerasTokenizer({word: number for number, word in enumerate(listed) if number})
        return _masked(
            keras_tokenizer(
                tokenizer, rows=rows, length=length, cleaning=cleaning, stop_words=stop_words, hidden=hidden
            ),
            masked,
        )
    if len(listed) > rows:
        raise ImportFailed(
            f"the {role} vocabulary has {len(listed):,} words, and the network {rows:,} ids: give the vocabulary that "
            "was made with this model"
        )
    chosen: Any = values.text("unknown") if unknown is None else unknown
    chosen = int(chosen) if isinstance(chosen, str) and chosen.isdecimal() else chosen
    if rules == CHARACTERS:
        chosen = "refuse" if chosen in ("found", "last") else chosen
        letters = [*listed, *(no_word(number) for number in range(len(listed), rows))]
        return characters(letters, unknown=chosen, cleaning=cleaning, hidden=hidden, length=length)
    made = words(
        listed, rules, rows=rows, unknown=chosen, cleaning=cleaning, stop_words=stop_words, length=length, hidden=hidden
    )
    return _masked(made, masked)


def _masked(vocabulary: Vocabulary, masked: bool) -> Vocabulary:
    """With a step that is not read after every text, so that a text without words is read as nothing."""
    if not masked or vocabulary.use.length is not None:
        return vocabulary
    return Vocabulary(vocabulary.tokenizer, vocabulary.use.model_copy(update={"append": (0,), "empty": "read"}))


def vectorized(understood: Understood, given: Given) -> Vocabulary:
    """The vocabulary of a TextVectorization."""
    layer = understood.source.vectorization
    assert layer is not None
    values = given.values.given
    text = layer.texts.get("vocabulary.txt")
    listed: Sequence[str] | None = vocabulary_lines(text) if text is not None else None
    if listed is None and "source" in given.words:
        listed = given.words["source"]
    return text_vectorization(
        layer.config, listed, standardize=values.get("standardize"), cleaning=_cleaning(values.get("cleaning", "none"))
    )


def _cleaning(value: str) -> tuple[CleaningStep, ...]:
    return _CLEANINGS[value] if value in _CLEANINGS else cleaning_of(value)


def _imdb_unknown(values: OptionValues) -> int | Literal["skip"]:
    unknown = values.text("unknown")
    if unknown == "skip":
        return "skip"
    return 2 if unknown == "found" else values.number("unknown")


def _splitting(value: str) -> Literal["text_to_word_sequence", "split"]:
    return "split" if value == "split" else "text_to_word_sequence"


def _ranks(listed: Sequence[str], content: Plain) -> dict[str, int]:
    """Words by rank, from 1."""
    if isinstance(content, Mapping) and all(isinstance(rank, int) for rank in content.values()):
        return dict(content)
    return {word: number for number, word in enumerate(listed) if number}


def _are_characters(listed: Sequence[str]) -> bool:
    return bool(listed) and sum(len(word) == 1 for word in listed) > 0.9 * len(listed)
