"""Calibration of confidence: the share of acceptable answers as a rising curve over the score of an answer.

Half of the judged answers fit the curve, by isotonic regression; the other half measures its error.
"""

import random
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from app.store.confidence import Confidence, Curve
from training.loop import chunks

_BIN = 40  # answers of a point of the curve: fewer would fit noise
_ERROR_BINS = 10


class Judged(NamedTuple):
    """An answer: the mean log-probability of its tokens, the end token included, and whether it was acceptable."""

    score: float
    is_acceptable: bool


def fitted(
    greedy: Sequence[Judged], searched: Sequence[Judged], *, acceptable: str, unsure_below: float, command: str
) -> Confidence:
    """The confidence of a model, from judged greedy answers and those of beam search. Raises ValueError for fewer than
    two answers."""
    if min(len(greedy), len(searched)) < 2:
        raise ValueError(f"{len(greedy)} answers are too few to calibrate: judge some hundred")
    return Confidence(
        acceptable=acceptable,
        unsure_below=unsure_below,
        greedy=curve_of(*halves(greedy)),
        searched=curve_of(*halves(searched)),
        command=command,
        measured=date.today(),
    )


def halves(judged: Sequence[Judged]) -> tuple[list[Judged], list[Judged]]:
    """The answers in two halves, drawn at random with a fixed seed."""
    drawn = list(judged)
    random.Random(1).shuffle(drawn)
    return drawn[::2], drawn[1::2]


def curve_of(fit: Sequence[Judged], held_out: Sequence[Judged]) -> Curve:
    """The curve of one half, with its error on the other. A point is the mean of answers with neighbouring scores."""
    ranked = sorted(fit, key=lambda answer: answer.score)
    bins = list(chunks(ranked, -(-len(ranked) // max(1, len(ranked) // _BIN))))
    shares = isotonic(
        [_mean([float(one.is_acceptable) for one in part]) for part in bins], [len(part) for part in bins]
    )
    points = {round(_mean([one.score for one in part]), 4): share for part, share in zip(bins, shares, strict=True)}
    curve = Curve(
        points=tuple((score, round(share, 4)) for score, share in points.items()),
        answers=len(fit),
        held_out=len(held_out),
        error=0,
    )
    return curve.model_copy(update={"error": round(calibration_error(curve, held_out), 4)})


def isotonic(values: Sequence[float], weights: Sequence[int]) -> list[float]:
    """The rising values with the least weighted squared distance to `values` (pool adjacent violators, Ayer et al.
    1955)."""
    blocks: list[tuple[float, int, int]] = []  # mean, weight, number of values
    for value, weight in zip(values, weights, strict=True):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (low, before, count), (high, after, others) = blocks[-2:]
            mean = (low * before + high * after) / (before + after)
            blocks[-2:] = [(mean, before + after, count + others)]
    return [mean for mean, _, count in blocks for _ in range(count)]


def calibration_error(curve: Curve, judged: Sequence[Judged]) -> float:
    """Expected calibration error (Guo et al. 2017, equation 3): the mean gap between confidence and share of acceptable
    answers, over bins with as many answers each."""
    known = sorted(((curve.at(answer.score), answer.is_acceptable) for answer in judged), key=lambda one: one[0])
    error = 0.0
    for part in chunks(known, -(-len(known) // _ERROR_BINS)):
        gap = _mean([confidence for confidence, _ in part]) - _mean([float(right) for _, right in part])
        error += abs(gap) * len(part)
    return error / len(known)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
