"""The tokenizer of an imported vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from tokenizers import Tokenizer

from app.errors import ImportFailed, InvalidManifest, MissingExtra
from app.importers.text_rules.marks import unknown_word
from app.store.text_input import CleaningStep, TokenizerUse
from app.text.cleaning import Cleaning
from app.text.word_tokenizers import RULES, build, split_of
from app.text.words import cutter

KERAS = "keras"  # the rules of Keras' Tokenizer, with the settings of the one that is given


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer of the `tokenizers` library, and how it is used."""

    tokenizer: Tokenizer
    use: TokenizerUse


def word_vocabulary(words: Sequence[str], rules: str, *, unk: str | None, **use: Any) -> Vocabulary:
    """A vocabulary of words. `rules` split a text into words: a name of `app.text.word_tokenizers`, or
    `spacy:<language>`. `unk` may be spelt in another usual way (`<UNK>`). Without `unk` an unknown word is an error,
    unless `use` says otherwise."""
    check_rules(rules)
    name: Any = "spacy" if rules.startswith("spacy:") else rules
    if unk is not None and unk not in words:
        unk = unknown_word(words) or unk
    use = {"unknown": "unk" if unk else "refuse"} | use
    split = rules if name == "spacy" else split_of(name)
    return Vocabulary(build(name, words, unk=unk), TokenizerUse.model_validate({"split": split} | use))


def check_rules(rules: str) -> None:
    """Raises ImportFailed unless texts can be split by these rules here and now: the name is known, its extra is
    installed, and spaCy knows the language."""
    if rules == KERAS:
        return
    name = rules.partition(":")[0]
    if name not in RULES or (name == "spacy") != (rules != name):
        names = ", ".join(rule for rule in RULES if rule != "spacy")
        raise ImportFailed(f"there are no rules {rules!r}; the rules are {names}, and spacy:de for a language")
    split = rules if name == "spacy" else split_of(name)
    try:
        TokenizerUse(split=split)
        cutter(split, lower=False)
    except ValidationError as error:
        raise ImportFailed(
            f"{rules}: spaCy's languages have codes of two or three letters, such as spacy:de"
        ) from error
    except (MissingExtra, InvalidManifest) as error:
        raise ImportFailed(f"{rules}: {error.detail}") from error


def checked(cleaning: Sequence[CleaningStep]) -> tuple[CleaningStep, ...]:
    """The steps. Raises ImportFailed for a replacement that cannot be made."""
    try:
        Cleaning(cleaning)
    except InvalidManifest as error:
        raise ImportFailed(error.detail.removeprefix("tokenizer.")) from error
    return tuple(cleaning)


def index_of(words: Sequence[str], word: str, what: str) -> int:
    """Raises ImportFailed if the word is missing."""
    try:
        return words.index(word)
    except ValueError as error:
        raise ImportFailed(f"the {what} vocabulary has no {word}") from error


def check_words(words: Sequence[str], rows: int, what: str) -> None:
    """Raises ImportFailed unless the vocabulary has the size of the embedding: another vocabulary gives fluent
    nonsense."""
    if len(words) != rows:
        raise ImportFailed(
            f"the {what} vocabulary has {len(words)} words, but the checkpoint's embedding has {rows} rows: give the "
            "vocabulary that was made with this model; one that was built again numbers its words differently"
        )
