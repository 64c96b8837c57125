"""Forecasts as frozen values."""

from dataclasses import dataclass
from typing import TypeVar

from unroll_client.results import TaskResult
from unroll_client.values import Value


@dataclass(frozen=True, kw_only=True)
class Forecast(Value):
    """The rows that follow a series or a window: a row for each step ahead, a column for each target."""

    values: list[list[float]]
    finish_reason: str
    scaled: list[list[float]] | None = None
    states: list[list[float]] | None = None


@dataclass(frozen=True, kw_only=True)
class WindowForecast(Forecast):
    """The forecast of the window from row `first` to row `last` of a series, and the `actual` rows after it, as many as
    the series has; None is a missing number. Only a model that reads its targets has them."""

    first: int
    last: int
    actual: list[list[float | None]] | None = None


@dataclass(frozen=True, kw_only=True)
class ForecastResult(Forecast, TaskResult):
    """The forecast of a series. With `windows`, its own members are those of the last window, and the mean absolute
    errors are those of each target over all windows, of the forecasts and of repeating the last known number."""

    answer_kind = "values"

    targets: list[str]
    interval: str | None = None
    windows: list[WindowForecast] | None = None
    mean_absolute_error: dict[str, float] | None = None
    persistence_mean_absolute_error: dict[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class ForecastRows(Value):
    """Rows of a stream that were forecast for one input; `input` and `window` are their places, from 0."""

    input: int
    window: int | None = None
    values: list[list[float]]
    scaled: list[list[float]] | None = None


ForecastT = TypeVar("ForecastT", bound=ForecastResult)
