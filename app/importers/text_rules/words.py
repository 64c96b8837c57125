"""Vocabularies of words with rules of one's own: splitting, cleaning, stop words, unknown words."""

from collections.abc import Sequence
from typing import Any, Literal

from app.errors import ImportFailed
from app.importers.text_rules.marks import unknown_word
from app.importers.tokenizer import Vocabulary, check_rules, checked, index_of
from app.store.ids import Id
from app.store.text_input import CleaningStep, FixedLength, TokenizerUse
from app.text.word_tokenizers import build, no_word, split_of

Unknown = Literal["found", "refuse", "skip", "last"] | Id


def words(
    vocabulary: Sequence[str],
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
    """`vocabulary[i]` has the id i (see `no_word` in `app.text.word_tokenizers`). `rules` split a text: those of
    `app.text.word_tokenizers`, or `spacy:de`. `rows` are those of the embedding. `unknown`: `found` takes the
    vocabulary's own word for unknown ones, else a last row beyond the vocabulary, else refuses them; `last` is the last
    row; a number is an id. `cleaning` and `lower` come before splitting (spaCy: `lower` after it). A text loses its
    `stop_words`, compared as they are spelt after splitting. `bos` and `eos` come before and after every source;
    those of fastai begin with `xxbos` anyway."""
    check_rules(rules)
    name: Any = "spacy" if rules.startswith("spacy:") else rules
    entries = list(vocabulary)
    unk = unknown_word(entries) if unknown == "found" else None
    if unknown == "found" and unk is None:
        unknown = "last" if rows == len(entries) + 1 else "refuse"
    if unknown == "last":
        if rows is not None and rows <= len(entries):
            raise ImportFailed(
                f"unknown words cannot have the last row: the vocabulary has {len(entries)} words, and the embedding "
                f"{rows} rows"
            )
        unknown = len(entries) if rows is None else rows - 1
        entries += [no_word(token) for token in range(len(entries), unknown + 1)]
    if rules == "fastai" and bos is None and "xxbos" in entries:
        bos = "xxbos"
    before, after = (() if mark is None else (index_of(entries, mark, "source"),) for mark in (bos, eos))
    use = TokenizerUse(
        split=rules if name == "spacy" else split_of(name),
        cleaning=checked(cleaning),
        lower=lower,
        prepend=before,
        append=after,
        length=length,
        hidden=tuple(index_of(entries, mark, "source") for mark in hidden),
        unknown="unk" if unk is not None else unknown,
    )
    return Vocabulary(build(name, entries, unk=unk, stop_words=stop_words), use)
