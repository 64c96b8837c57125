"""Limits of answers."""

from dataclasses import dataclass

LONGEST_HORIZON = 1_000_000
"""No setting allows more steps ahead."""


@dataclass(frozen=True)
class AnswerLimits:
    """The most steps ahead of a forecast, and the most numbers that the answer to a request may have in its forecasts
    and states, in its explanations, or in the scores of its words."""

    horizon: int = 10_000
    numbers: int = 500_000
