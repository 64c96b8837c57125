"""Texts character by character."""

from collections.abc import Sequence
from typing import Literal

from tokenizers import decoders

from app.importers.tokenizer import Vocabulary, checked, index_of
from app.store.text_input import CleaningStep, FixedLength, TokenizerUse
from app.text.word_tokenizers import CHARACTERS, word_file


def characters(
    letters: Sequence[str],
    *,
    unknown: Literal["refuse", "skip"] | int = "refuse",
    bos: str | None = None,
    eos: str | None = None,
    lower: bool = False,
    length: FixedLength | None = None,
    cleaning: Sequence[CleaningStep] = (),
    hidden: Sequence[str] = (),
) -> Vocabulary:
    """`letters[i]` has the id i, which is also the place of the 1 in a one-hot row. `no_word(i)` of
    `app.text.word_tokenizers` is the entry of an id without a character (padding, an extra row of zeros). `bos` and
    `eos` are entries of `letters` put before and after every source; they are hidden in answers. Answers join
    characters by nothing."""
    file = word_file(letters, unk=None, pre_tokenizers=[CHARACTERS], decoder=decoders.Fuse())
    before, after = (() if mark is None else (index_of(letters, mark, "character"),) for mark in (bos, eos))
    use = TokenizerUse(
        cleaning=checked(cleaning),
        lower=lower,
        prepend=before,
        append=after,
        length=length,
        empty="read" if before or after or (length is not None and length.pad is not None) else "refuse",
        hidden=(*before, *after, *(index_of(letters, mark, "character") for mark in hidden)),
        unknown=unknown,
    )
    return Vocabulary(file, use)
