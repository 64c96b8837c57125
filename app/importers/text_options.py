"""Options of a general layout that reads texts: how a text became ids, which no tensor shows."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint
from app.importers.layout import Given
from app.importers.options import Option, OptionValues
from app.importers.text_rules.characters import characters
from app.importers.text_rules.keras_tokenizer import KerasTokenizer, keras_tokenizer, tokenizer_of
from app.importers.text_rules.marks import padding_word, unknown_word
from app.importers.text_rules.words import words
from app.importers.tokenizer import KERAS, Vocabulary
from app.importers.vocabularies import Role
from app.store.text_input import CleaningStep, FixedLength
from app.text.word_tokenizers import RULES, no_word

CHARACTERS = "characters"
_KERAS_SIDE = "left"  # pad_sequences pads and cuts at the beginning
TOKENIZERS = (*(rule for rule in RULES if not rule.startswith("spacy")), "spacy:en", "spacy:de")
_SIDES = ("left", "right")
_NO_LENGTH = ("length", "none")
LENGTHS = ("max_length", "max_len", "maxlen", "seq_length", "sequence_length", "max_seq_len", "seq_len")


def known_words(checkpoint: Checkpoint, rows: int) -> Sequence[str]:
    """The words that the files have for an embedding of this number of rows; empty if there are none."""
    lists = [*checkpoint.vocabularies.values(), *checkpoint.given]
    return next((words for words in lists if len(words) in (rows, rows - 1)), ())


def tokenizer_for(checkpoint: Checkpoint, rows: int) -> KerasTokenizer | None:
    """A Tokenizer of Keras in the files whose words have rows in an embedding."""
    return next((tokenizer for words, tokenizer in _tokenizers(checkpoint) if len(words) <= rows), None)


def has_tokenizer(checkpoint: Checkpoint) -> bool:
    """Whether a vocabulary is a Tokenizer of Keras."""
    return next(_tokenizers(checkpoint), None) is not None


def _tokenizers(checkpoint: Checkpoint) -> Iterator[tuple[Sequence[str], KerasTokenizer]]:
    inside = [(words, checkpoint.contents.get(path)) for path, words in checkpoint.vocabularies.items()]
    for listed, content in (*inside, *zip(checkpoint.given, checkpoint.given_contents, strict=False)):
        if (tokenizer := tokenizer_of(content)) is not None:
            yield listed, tokenizer


def text_options(checkpoint: Checkpoint, rows: int) -> list[Option]:
    """The usual values follow from the words, if the files have them."""
    found = known_words(checkpoint, rows)
    by_keras = tokenizer_for(checkpoint, rows) is not None
    usual = KERAS if by_keras else usual_rules(found)
    side = _KERAS_SIDE if by_keras else "right"
    length = checkpoint.whole_setting(*LENGTHS)
    return [
        Option(
            "tokenizer",
            "how texts were split into words, see docs/tokenizers.md",
            usual,
            (*TOKENIZERS, KERAS),
            depends="other words have other ids, or none. If patterns or stop words were removed first, say so: "
            "options cleaning and stop_words",
            readings=() if usual in (CHARACTERS, KERAS) else ("spaces", "spaces_lower", "basic_english"),
        ),
        Option(
            "unknown",
            "a word outside the vocabulary: found (its own, <unk>), skip, refuse, last (the last row), or an id",
            "found" if by_keras else usual_unknown(found, rows),
        ),
        Option(
            "length",
            "words that every text was cut and padded to (sides: padding, truncating); none: each is read whole",
            str(length or "none"),
            kind="whole",
            or_none=True,
            depends="padding is read like words unless the training packed or masked it",
        ),
        Option(
            "padding",
            "with a length, the side of the padding; none: texts are cut only",
            side,
            (*_SIDES, "none"),
            depends="pad_sequence of PyTorch pads on the right, pad_sequences of Keras on the left",
            idle_where=_NO_LENGTH,
        ),
        Option(
            "truncating",
            "with a length, the side at which longer texts are cut",
            side,
            _SIDES,
            idle_where=_NO_LENGTH,
        ),
        Option(
            "cleaning", "none, or a JSON file of steps before splitting, see docs/importing.md", "none", assumed=True
        ),
        Option("stop_words", "none, or a file with words that were left out", "none", assumed=True),
        Option("prepend", "word before every text; none", "none", assumed=True),
        Option("append", "word after every text; none", "none", assumed=True),
    ]


def usual_unknown(found: Sequence[str], rows: int) -> str:
    """What words outside of a vocabulary are: its word for them, a last row, or left out where only padding has a row
    beside the words, as in `[vocab[word] for word in words if word in vocab]`."""
    if not found or unknown_word(found) or len(found) < rows:
        return "found"
    return "skip" if padding_word(found) is not None else "refuse"


def usual_rules(found: Sequence[str]) -> str:
    """The likeliest rules for a vocabulary: single letters are characters, capitals are kept, and punctuation that
    stands alone was split off."""
    plain = [word for word in found if word and not word.startswith(("<", "[", "xx", "_"))]
    if plain and sum(len(word) == 1 for word in plain) > 0.9 * len(plain):
        return CHARACTERS
    has_capitals = any(word != word.lower() for word in plain)
    if "." in plain and "," in plain and not has_capitals:
        return "basic_english"
    return "spaces" if has_capitals else "spaces_lower"


def vocabulary_of(
    role: Role, rows: int, given: Given, values: OptionValues, *, hidden: Sequence[str] = (), **more: Any
) -> Vocabulary:
    """The vocabulary of a role by the values of `text_options`. Raises ImportFailed."""
    mine = list(given.words[role])
    tokenizer = tokenizer_of(given.contents.get(role))
    if len(mine) not in (rows, rows - 1) and (tokenizer is None or len(mine) > rows):
        raise ImportFailed(
            f"the {role} vocabulary has {len(mine)} words, but the checkpoint's embedding has {rows} rows: give the "
            "vocabulary that was made with this model; one that was built again numbers its words differently"
        )
    rules = values.text("tokenizer")
    bos, eos = (_word(values.text(name), mine, name) for name in ("prepend", "append"))
    settings: dict[str, Any] = {
        "bos": bos,
        "eos": eos,
        "cleaning": cleaning_of(values.text("cleaning")),
        "length": length_of(values, mine),
        "hidden": hidden,
    } | more
    unknown = _unknown(values.text("unknown"), mine, rows)
    if rules == KERAS:
        stop_words = lines_of(values.text("stop_words"))
        return _by_keras(tokenizer or _tokenizer_with(mine), rows, unknown, stop_words=stop_words, **settings)
    if rules == CHARACTERS:
        letters = [*mine, *(no_word(token) for token in range(len(mine), rows))]
        return characters(letters, unknown=_unknown_letter(unknown, mine, rows), **settings)
    stop_words = lines_of(values.text("stop_words"))
    return words(mine, rules, rows=rows, unknown=unknown, stop_words=stop_words, **settings)


def _tokenizer_with(mine: Sequence[str]) -> KerasTokenizer:
    """A Tokenizer of usual settings with these words; id 0 is padding."""
    return KerasTokenizer({word: token for token, word in enumerate(mine) if token}, oov_token=unknown_word(mine))


def _by_keras(
    tokenizer: KerasTokenizer, rows: int, unknown: Any, *, bos: str | None, eos: str | None, **settings: Any
) -> Vocabulary:
    """A vocabulary by Keras' rules. An unknown word is what the Tokenizer says, unless the user says another."""
    made = keras_tokenizer(tokenizer, rows=rows, **settings)
    before, after = (() if mark is None else (tokenizer.word_index[mark],) for mark in (bos, eos))
    changes: dict[str, Any] = {"prepend": before, "append": after}
    if unknown != "found":
        changes["unknown"] = rows - 1 if unknown == "last" else unknown
    return Vocabulary(made.tokenizer, made.use.model_copy(update=changes))


def _unknown(value: str, found: Sequence[str], rows: int) -> Any:
    if value in ("found", "skip", "refuse", "last"):
        return value
    if value.isdecimal() and int(value) < rows:
        return int(value)
    raise ImportFailed(f"--set unknown={value}: use found, skip, refuse, last or an id from 0 to {rows - 1}")


def _unknown_letter(unknown: Any, found: Sequence[str], rows: int) -> Any:
    """What `found` and `last` are among characters: the entry for unknown ones, or a last row without a character."""
    if unknown not in ("found", "last"):
        return unknown
    word = unknown_word(found)
    if unknown == "found" and word is not None:
        return list(found).index(word)
    return rows - 1 if len(found) < rows or unknown == "last" else "refuse"


def _word(value: str, found: Sequence[str], name: str) -> str | None:
    if value == "none":
        return None
    if value not in found:
        raise ImportFailed(f"--set {name}={value}: the vocabulary has no such word")
    return value


def length_of(values: OptionValues, found: Sequence[str]) -> FixedLength | None:
    """The fixed length that the options say. Padding has the id of the vocabulary's word for it, or 0."""
    length = values.number_or_none("length")
    if length is None:
        return None
    word = padding_word(found)
    side = values.text("padding")
    return FixedLength.model_validate(
        {
            "to": length,
            "pad": None if side == "none" else list(found).index(word) if word is not None else 0,
            "pad_side": "left" if side == "none" else side,
            "cut_side": values.text("truncating"),
        }
    )


def cleaning_of(value: str) -> tuple[CleaningStep, ...]:
    """The steps in a JSON file: `["lower", {"pattern": "[^a-z ]+", "by": " "}]`."""
    if value == "none":
        return ()
    try:
        steps = json.loads(Path(value).read_text(encoding="utf8"))
        return TypeAdapter(tuple[CleaningStep, ...]).validate_python(steps)
    except (OSError, ValueError, TypeError) as error:
        raise ImportFailed(
            f'--set cleaning={value}: it must be a JSON file with a list of "lower", "lower_ascii", "without_accents" '
            'and {"pattern": ..., "by": ...}'
        ) from error


def lines_of(value: str) -> tuple[str, ...]:
    if value == "none":
        return ()
    try:
        return tuple(Path(value).read_text(encoding="utf8").split())
    except (OSError, ValueError) as error:
        raise ImportFailed(f"--set stop_words={value}: it must be a text file with a word a line") from error
