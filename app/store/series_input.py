"""How rows of numbers become the network's input, as a manifest describes it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.store.part import Part
from app.store.scaling import Float32, MinMax, Standard

_MOST_NUMBERS = 4_000_000  # in a window


class Feature(Part):
    """A column of a series. `log1p` comes before `scaling`: ln(1 + x)."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    log1p: bool = False
    scaling: Annotated[MinMax | Standard, Field(discriminator="method")] | None = None

    @property
    def affine(self) -> tuple[float, float]:
        """`shift` and `scale` of (x - shift) / scale."""
        return (0.0, 1.0) if self.scaling is None else self.scaling.affine


class SeriesInput(Part):
    """How rows of numbers become the network's input, and its outputs become numbers.

    `features` are the columns of a row, in order. `targets` are those of a forecast, with their own scaling. `window`
    is the number of steps that the network reads; without it a series has any length. Of a longer series the last
    `window` steps count; a shorter one is refused, or padded on one side with rows of `pad_value` (after scaling).

    `missing` numbers are refused, or replaced before scaling: by the one before (`previous`; the first one after, at
    the start), by a straight line between both sides (`linear`), by `zero`, or by `mean` (the scaling's mean, or the
    middle of its range).
    """

    features: tuple[Feature, ...] = Field(min_length=1, max_length=10_000)
    targets: tuple[Feature, ...] = Field((), max_length=10_000)
    window: Annotated[int, Field(gt=0, le=10_000)] | None = None
    pad: Literal["refuse", "left", "right"] = "refuse"
    pad_value: Float32 = 0.0
    missing: Literal["refuse", "previous", "linear", "zero", "mean"] = "refuse"
    interval: Annotated[str, Field(max_length=100)] | None = Field(
        None, description="The time between two steps in words, such as `1 day`."
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for columns in (self.features, self.targets):
            if len({column.name for column in columns}) < len(columns):
                raise ValueError("two columns of 'series' have the same name")
        if self.window is not None and self.window * len(self.features) > _MOST_NUMBERS:
            raise ValueError(f"a window of {self.window} steps has more than {_MOST_NUMBERS:,} numbers")
        if self.pad != "refuse" and self.window is None:
            raise ValueError("series.pad needs series.window")
        if self.missing == "mean" and any(column.scaling is None for column in self.features):
            raise ValueError("series.missing 'mean' needs a scaling of each feature, which has the mean")
        return self
