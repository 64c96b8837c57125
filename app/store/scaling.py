"""Scaling of numbers, as a manifest describes it."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from app.store.part import Part

Float32 = Annotated[float, Field(ge=-3e38, le=3e38)]  # a network reads it
Deviation = Annotated[float, Field(ge=1e-30, le=3e38)]  # the same, and numbers are divided by it
_LEAST_SCALE = 1e-300  # numbers are divided by it in float64


def _check_affine(method: str, shift: float, scale: float) -> None:
    """A scale that overflows or vanishes makes each number of a series infinite, or NaN."""
    if not (math.isfinite(shift) and math.isfinite(scale) and scale >= _LEAST_SCALE):
        raise ValueError(f"scaling '{method}' is (x - {shift:g}) / {scale:g}: both must be finite, the second positive")


class MinMax(Part):
    """Numbers from `minimum` to `maximum` become `low` to `high`, linearly; numbers outside go on linearly."""

    method: Literal["min-max"] = "min-max"
    minimum: float
    maximum: float
    low: Float32 = 0.0
    high: Float32 = 1.0

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if not (self.minimum < self.maximum and self.low < self.high):
            raise ValueError("scaling 'min-max' needs minimum < maximum and low < high")
        _check_affine(self.method, *self.affine)
        return self

    @property
    def affine(self) -> tuple[float, float]:
        """`shift` and `scale` of (x - shift) / scale."""
        scale = (self.maximum - self.minimum) / (self.high - self.low)
        return self.minimum - self.low * scale, scale

    @property
    def middle(self) -> float:
        return (self.minimum + self.maximum) / 2


class Standard(Part):
    """Numbers less their mean, divided by their standard deviation."""

    method: Literal["standard"] = "standard"
    mean: float
    std: PositiveFloat

    @model_validator(mode="after")
    def _is_a_scale(self) -> Self:
        _check_affine(self.method, *self.affine)
        return self

    @property
    def affine(self) -> tuple[float, float]:
        """`shift` and `scale` of (x - shift) / scale."""
        return self.mean, self.std

    @property
    def middle(self) -> float:
        return self.mean
