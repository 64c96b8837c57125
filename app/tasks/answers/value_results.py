"""Results of the answer kind `values`, as the HTTP interface returns them."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, SkipValidation

from app.json_pieces import AS_IT_IS

RowsInPieces = Annotated[list[list[float]], SkipValidation, AS_IT_IS]
"""Rows as `ArrayRows`, which become JSON piece by piece: they may be too many to be objects."""


KnownRowsInPieces = Annotated[list[list[float | None]], SkipValidation, AS_IT_IS]
"""Such rows with missing numbers."""


class Forecast(BaseModel):
    """The rows that follow a series or a window of it."""

    values: RowsInPieces = Field(
        description="A row for each step ahead, a column for each of `targets`, in the units of the data.",
        examples=[[[12.8], [13.1], [12.9]]],
    )
    finish_reason: Literal["length", "deadline"] = Field(
        description="`length`: it has all steps of the horizon; `deadline`: the deadline passed, and it has the steps "
        "forecast so far.",
        examples=["length"],
    )
    scaled: RowsInPieces | None = Field(None, description="Only with `scaled`: the network's outputs.")
    states: RowsInPieces | None = Field(
        None, description="Only with `states`: the hidden state of the top layer, a row for each step that it read."
    )


class WindowForecast(Forecast):
    """The forecast of one window."""

    first: int = Field(description="The first row of the window, from 0.", examples=[0])
    last: int = Field(description="Its last row; the forecast is of the rows after it.", examples=[5])
    actual: KnownRowsInPieces | None = Field(
        None,
        description="If the model reads its targets: the rows of the series that `values` forecast, as many as there "
        "are. `null` is a missing number.",
        examples=[[[12.2], [10.0], [8.9]]],
    )


class ForecastResult(Forecast):
    """The forecast of a series. With `windows`, its own members are those of the last window."""

    targets: list[str] = Field(description="The columns of `values`.", examples=[["temp_max"]])
    interval: str | None = Field(None, description="The time between two steps in words.", examples=["1 day"])
    windows: list[WindowForecast] | None = Field(None, description="Only with `windows`: a forecast for each.")
    mean_absolute_error: dict[str, float] | None = Field(
        None,
        description="Only with `windows`: of each target that the model reads, the mean of the distances between "
        "`values` and `actual` over all windows, in the units of the data.",
        examples=[{"temp_max": 1.98}],
    )
    persistence_mean_absolute_error: dict[str, float] | None = Field(
        None,
        description="The mean absolute error of persistence, the forecast that repeats the last known number of each "
        "target, over the same windows.",
        examples=[{"temp_max": 2.31}],
    )
    model: str = Field(description="The model that answered.", examples=["forecast-weather"])
    version: int = Field(description="Its version.", examples=[1])
    state: str | None = Field(None, description="Only with `return_state`: the state, to continue from here.")
