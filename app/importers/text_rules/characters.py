"""Texts character by character."""

import string
from collections.abc import Sequence
from typing import Literal

from app.importers.tokenizer import Vocabulary
from app.store.manifest import CleaningStep, FixedLength

PRINTABLE: tuple[str, ...] = tuple(string.printable)  # spro/char-rnn.pytorch and the tutorials on names


def sorted_characters(text: str) -> list[str]:
    """`sorted(set(text))`, the ids of most character models."""
    return sorted(set(text))


def characters(
    letters: Sequence[str | None],
    *,
    unknown: Literal["refuse", "skip"] | int = "refuse",
    bos: str | None = None,
    eos: str | None = None,
    lower: bool = False,
    length: FixedLength | None = None,
    cleaning: Sequence[CleaningStep] = (),
    hidden: Sequence[str] = (),
) -> Vocabulary:
    """`letters[i]` has the id i, which is also the place of the 1 in a one-hot row; None has no spelling (padding; an
    extra row of zeros for `unknown`). `bos` and `eos` are entries of `letters` put before and after every source; they
    are hidden in answers. Answers join characters by nothing."""
    raise NotImplementedError
