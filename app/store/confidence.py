"""Calibrated confidence: from the score of an answer to the share of such answers that were acceptable in a test."""

from bisect import bisect_left
from datetime import date
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from app.store.part import Part

Share = Annotated[float, Field(ge=0, le=1)]
Point = tuple[float, Share]


class Curve(Part):
    """A rising curve over the score of an answer, straight between its points (score, share of acceptable answers).

    `answers` were judged to fit it, `held_out` others to measure its `error`, the expected calibration error (Guo et
    al. 2017, equation 3).
    """

    points: Annotated[tuple[Point, ...], Field(min_length=1, max_length=1000)]
    answers: Annotated[int, Field(gt=0, lt=2**31)]
    held_out: Annotated[int, Field(gt=0, lt=2**31)]
    error: Share

    @model_validator(mode="after")
    def _rises(self) -> Self:
        for (score, share), (next_score, next_share) in pairwise(self.points):
            if not (score < next_score and share <= next_share):
                raise ValueError("the points of a confidence curve need rising scores, and shares that never fall")
        return self

    def at(self, score: float) -> float:
        """The share at a score: that of the first or last point beyond them."""
        place = bisect_left(self.points, score, key=lambda point: point[0])
        if place == 0 or place == len(self.points):
            return self.points[min(place, len(self.points) - 1)][1]
        (before, low), (after, high) = self.points[place - 1], self.points[place]
        return low + (high - low) * (score - before) / (after - before)


class Confidence(Part):
    """How sure the answers of a version are. The score of an answer is the mean log-probability of its tokens, the end
    token included. `greedy` is the curve of greedy answers, `searched` that of beam search. An answer below
    `unsure_below` is marked unsure."""

    acceptable: str = Field(description="What counted as an acceptable answer, and in which test.")
    unsure_below: Share
    greedy: Curve
    searched: Curve | None = None
    command: str = Field(description="The command that fits the curves.")
    measured: date
