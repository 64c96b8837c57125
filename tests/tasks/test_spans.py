"""Spans of labels, compared with the rules of CoNLL's evaluation (conlleval.pl of Tjong Kim Sang) word by word."""

import random
from itertools import pairwise

import pytest

from app.tasks.answers.spans import WordSpan, mark_spans, spans_of


def ends(before: tuple[str, str], after: tuple[str, str]) -> bool:
    """`endOfChunk`: whether a span ends between two words, each a mark and a kind."""
    (mark, kind), (next_mark, next_kind) = before, after
    if mark in "ESLU":
        return True
    if mark in "BI" and next_mark in "BSUO":
        return True
    return mark != "O" and kind != next_kind


def begins(before: tuple[str, str], after: tuple[str, str]) -> bool:
    """`startOfChunk`: whether a span begins with the second of two words."""
    (mark, kind), (next_mark, next_kind) = before, after
    if next_mark in "BSU":
        return True
    if next_mark in "IEL" and mark in "ESLUO":
        return True
    return next_mark != "O" and kind != next_kind


def reference(labels: list[str]) -> list[WordSpan]:
    parts = [("O", ""), *((label[0], label[2:]) for label in labels), ("O", "")]
    spans, first = [], 0
    for place, (before, after) in enumerate(pairwise(parts)):  # between word place - 1 and word place
        if ends(before, after):
            spans.append(WordSpan(before[1], first, place - 1))
        if begins(before, after):
            first = place
    return spans


@pytest.mark.parametrize("marks", ["BI", "BIES", "BILU"])
def test_spans_are_those_of_conlleval(marks: str) -> None:
    rng = random.Random(marks)
    labels = ["O", *(f"{mark}-{kind}" for mark in marks for kind in ("PER", "a-b"))]
    assert mark_spans(labels)
    for _ in range(500):
        some = rng.choices(labels, k=rng.randrange(12))
        assert spans_of(some) == reference(some), some


def test_a_span_of_each_scheme() -> None:
    for labels in (["B-X", "I-X", "I-X"], ["B-X", "I-X", "E-X"], ["B-X", "I-X", "L-X"], ["I-X", "I-X", "I-X"]):
        assert spans_of(["O", *labels, "O", "B-Y"]) == [WordSpan("X", 1, 3), WordSpan("Y", 5, 5)]
    assert spans_of(["S-X", "S-X", "U-X"]) == [WordSpan("X", 0, 0), WordSpan("X", 1, 1), WordSpan("X", 2, 2)]


def test_labels_that_mark_no_spans() -> None:
    assert not mark_spans(["NOUN", "VERB"])
    assert not mark_spans(["O", "NOUN"])
    assert not mark_spans(["O"])
    assert not mark_spans(["B-X", "I-X"])  # a scheme has words outside
    assert mark_spans(["I-X", "O"])
