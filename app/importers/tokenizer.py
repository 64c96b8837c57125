"""The tokenizer of an imported vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from app.errors import ImportFailed
from app.store.manifest import TokenizerUse
from app.text.word_tokenizers import RULES, build, split_of


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer of the `tokenizers` library, and how it is used."""

    tokenizer: Tokenizer
    use: TokenizerUse


def word_vocabulary(words: Sequence[str], rules: str, *, unk: str | None, **use: Any) -> Vocabulary:
    """A vocabulary of words. `rules` split a text into words: a name of `app.text.word_tokenizers`, or
    `spacy:<language>`. Without `unk` an unknown word is an error, unless `use` says otherwise."""
    name = "spacy" if rules.startswith("spacy:") else rules
    if name not in RULES:
        raise ImportFailed(
            f"there are no rules {rules!r}; the rules are {', '.join(RULES)}, and spacy:de for a language"
        )
    use = {"unknown": "unk" if unk else "refuse"} | use
    split = rules if name == "spacy" else split_of(name)
    return Vocabulary(build(name, words, unk=unk), TokenizerUse.model_validate({"split": split} | use))


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
