"""Labels of words to spans: BIO, IOBES and BILOU, read as CoNLL's evaluation reads them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_MARKED = re.compile(r"([BIESLU])-(.+)", re.DOTALL)
OUTSIDE = "O"
_BEGINS, _ENDS = frozenset("BSU"), frozenset("ESLU")  # a word with such a mark begins, or ends, a span


@dataclass(frozen=True, slots=True)
class WordSpan:
    """The words `first` to `last`, which have one label."""

    label: str
    first: int
    last: int


def mark_spans(labels: Sequence[str]) -> bool:
    """Whether the labels of a model mark spans: `O`, and others as `B-PER`."""
    return OUTSIDE in labels and len(labels) > 1 and all(label == OUTSIDE or _parts(label) for label in labels)


def spans_of(labels: Sequence[str]) -> list[WordSpan]:
    """The spans of words with these labels. A word without a begin before it begins one, as does another kind of span:
    no word with a label is left out."""
    spans: list[WordSpan] = []
    goes_on = False  # whether the last span may go on
    for place, label in enumerate(labels):
        parts = _parts(label)
        if parts is None:
            goes_on = False
            continue
        mark, kind = parts
        if goes_on and mark not in _BEGINS and spans[-1].label == kind:
            spans[-1] = WordSpan(kind, spans[-1].first, place)
        else:
            spans.append(WordSpan(kind, place, place))
        goes_on = mark not in _ENDS
    return spans


def _parts(label: str) -> tuple[str, str] | None:
    """The mark and the kind of a label such as `B-PER`."""
    match = _MARKED.fullmatch(label)
    return None if match is None else (match[1], match[2])
