"""The part before the ids of a Keras model: options, and the vocabulary that follows from them and from the files."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint
from app.importers.keras.parts import source_length
from app.importers.keras.understood import Understood
from app.importers.keras.values import Source, Steps
from app.importers.layout import Given
from app.importers.options import Option, OptionValues
from app.importers.reading import Plain
from app.importers.text_options import CHARACTERS, TOKENIZERS, cleaning_of, lines_of
from app.importers.text_rules.characters import characters
from app.importers.text_rules.imdb import imdb
from app.importers.text_rules.keras_tokenizer import KerasTokenizer, keras_tokenizer, tokenizer_of
from app.importers.text_rules.lengths import padded
from app.importers.text_rules.text_vectorization import STANDARDIZE, text_vectorization, vocabulary_lines
from app.importers.text_rules.words import words
from app.importers.tokenizer import Vocabulary
from app.importers.vocabularies import Role
from app.store.text_input import CleaningStep, FixedLength, Replacement
from app.text.word_tokenizers import no_word

TOKENIZER, IMDB = "tokenizer", "imdb"
_SIDES = ("pre", "post")
_LENGTHS = ("maxlen", "max_len", "max_length", "max_sequence_length", "sequence_length", "max_encoder_seq_length")
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
CLEANING = Option(
    "cleaning",
    "steps before splitting: none; punctuation, a space on both sides of ? . ! ,; tensorflow, the rules of its "
    "translation tutorial; or a JSON file, see docs/importing.md",
    "none",
    assumed=True,
)


_UNKNOWN = Option(
    "unknown",
    "a word outside the vocabulary, unless a Tokenizer says it: found, skip, refuse, last or an id",
    "found",
    assumed=True,
)


def vectorization_options(understood: Understood) -> list[Option]:
    """Only what the layer does not say: a function of the user's."""
    layer = _source(understood).vectorization
    assert layer is not None
    standardize = layer.config.get("standardize")
    if standardize is None or (isinstance(standardize, str) and standardize in STANDARDIZE):
        return []
    name = standardize if isinstance(standardize, str) else "a function of its own"
    return [
        Option(
            "standardize",
            f"TextVectorization cleans texts by {name}, whose code is not in the file: the rules nearest to it",
            "lower_and_strip_punctuation",
            tuple(STANDARDIZE),
        ),
        CLEANING,
    ]


def text_options(
    understood: Understood,
    checkpoint: Checkpoint,
    *,
    lengths: bool = True,
    padding: str = "pre",
    rules: str | None = None,
    imdb: bool = False,
) -> list[Option]:
    """How a text became ids. `lengths`: with that of sources; `padding` is its usual side, `rules` the usual ones.
    `imdb`: with the ids of keras.datasets.imdb."""
    if _source(understood).vectorization is not None:
        return vectorization_options(understood)
    is_imdb = imdb and any(IMDB in name.lower() for name in checkpoint.names)
    usual = rules or (IMDB if is_imdb else TOKENIZER if understood.embedding is not None else CHARACTERS)
    options = [
        Option(
            "rules",
            "how a text became ids: tokenizer, by Keras' Tokenizer (its JSON or pickle, or its word_index); "
            f"{'imdb, by keras.datasets.imdb; ' if imdb else ''}characters; or another splitting, see "
            "docs/tokenizers.md",
            usual,
            tuple(dict.fromkeys((TOKENIZER, *([IMDB] if imdb else []), CHARACTERS, *TOKENIZERS))),
            depends="other words have other ids, or none",
        ),
        *(_imdb_options(asked=is_imdb) if imdb else [_UNKNOWN]),
        CLEANING,
        Option("stop_words", "none, or a file with words that were left out", "none", assumed=True),
    ]
    return options + (length_options(understood.root, checkpoint, padding=padding) if lengths else [])


def _imdb_options(*, asked: bool) -> list[Option]:
    return [
        Option("start", "rules imdb: the id before every text; none", "1", assumed=not asked),
        Option(
            "unknown",
            "rules imdb: the id of an unknown word, or skip; 5 with word_index.get(word, 2) + 3. Other rules: found, "
            "skip, refuse, last or an id",
            "2" if asked else "found",
            assumed=not asked,
        ),
        Option(
            "index_from", "rules imdb: what is added to the rank of a word", "3", kind="whole", least=0, assumed=True
        ),
        Option(
            "splitting",
            "rules imdb: text_to_word_sequence, or split for text.lower().split()",
            "text_to_word_sequence",
            ("text_to_word_sequence", "split"),
            assumed=not asked,
        ),
    ]


def length_options(steps: Steps, checkpoint: Checkpoint, *, padding: str = "pre") -> list[Option]:
    """`pad_sequences` of a source; its length is a question if the model does not say it."""
    options = []
    if source_length(steps) is None:
        found = checkpoint.setting(*_LENGTHS)
        options.append(
            Option(
                "maxlen",
                "ids that every text was padded and cut to; none: each is read as long as it is",
                str(found) if isinstance(found, int) and found > 0 else "none",
                depends="" if steps.read else "the network reads padding like words",
            )
        )
    return [
        *options,
        Option(
            "padding", "side of the padding", padding, _SIDES, depends="pad_sequences pads before the text by default"
        ),
        Option(
            "truncating",
            "side at which longer texts are cut",
            "pre",
            _SIDES,
            depends="pad_sequences cuts the beginning by default",
        ),
    ]


def length_of(steps: Steps, values: OptionValues, *, pad: int = 0) -> FixedLength | None:
    """The length of sources by the options."""
    size = source_length(steps)
    if size is None and (given := values.given.get("maxlen", "none")) != "none":
        if not given.isdecimal():
            raise ImportFailed(f"--set maxlen={given}: use none, or a number of ids")
        size = int(given)
    return padded(size, padding=values.text("padding"), truncating=values.text("truncating"), pad=pad)


def text_needs(understood: Understood) -> Sequence[Role]:
    """The vocabularies that the user gives."""
    layer = _source(understood).vectorization
    return ("source",) if layer is None or not (layer.texts or layer.config.get("vocabulary")) else ()


def source_vocabulary(understood: Understood, given: Given) -> Vocabulary:
    """The vocabulary of a network that reads an embedding."""
    steps = understood.root
    if _source(understood).vectorization is not None:
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
            start=None if values.text("start") == "none" else values.number("start"),
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
    layer = _source(understood).vectorization
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


def _source(understood: Understood) -> Source:
    origin = understood.root.origin
    assert isinstance(origin, Source)
    return origin
