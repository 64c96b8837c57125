"""Vocabularies of words with rules of one's own: splitting, cleaning, stop words, unknown words."""

from collections.abc import Sequence
from typing import Literal

from app.importers.tokenizer import Vocabulary
from app.store.manifest import CleaningStep, FixedLength, Id

Unknown = Literal["found", "refuse", "skip", "last"] | Id

TOKENIZERS: tuple[str, ...] = ()  # to be offered as choices of an option `tokenizer`


def check_rules(rules: str) -> None:
    """Raises ImportFailed unless texts can be split by these rules here and now: the name is known, its extra is
    installed, spaCy knows the language."""
    raise NotImplementedError


def unknown_word(words: Sequence[str | None]) -> str | None:
    """The word that stands for unknown ones, in any usual spelling: <unk>, <UNK>, [UNK], UNK, <oov>, <unknown>."""
    raise NotImplementedError


def padding_word(words: Sequence[str | None]) -> str | None:
    """The word that fills up, in any usual spelling: <pad>, [PAD], PAD, _pad_."""
    raise NotImplementedError


def words(
    vocabulary: Sequence[str | None],
    rules: str,
    *,
    rows: int | None = None,
    unknown: Unknown = "found",
    lower: bool = False,
    cleaning: Sequence[CleaningStep] = (),
    stop_words: Sequence[str] = (),
    bos: str | None = None,
    eos: str | None = None,
    length: FixedLength | None = None,
    hidden: Sequence[str] = (),
) -> Vocabulary:
    """`vocabulary[i]` has the id i; None has no spelling. `rules` split a text (see `check_rules`). `rows` are those of
    the embedding. `unknown`: `found` takes the vocabulary's own word for unknown ones, else a last row beyond the
    vocabulary, else refuses them; `last` is the last row; a number is an id. `cleaning` and `lower` come before
    splitting, `stop_words` are left out after it (compared as they are then spelt)."""
    raise NotImplementedError
