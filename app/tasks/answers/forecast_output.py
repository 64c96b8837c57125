"""A forecast as a result: rows of the network with their units, and of past windows what followed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.engine import protocol
from app.engine.protocol import Forecasted
from app.errors import EngineFailed, TimedOut
from app.store.manifest import Manifest
from app.store.series_input import SeriesInput
from app.tasks.answers.backtest import Backtest
from app.tasks.answers.number_rows import ArrayRows, array_of
from app.tasks.answers.value_results import ForecastResult, WindowForecast
from app.tasks.answers.values_options import values_options
from app.tasks.job import Job, Output
from app.tasks.options import TaskOptions, WindowOptions
from app.tasks.scaling import unscaled

_DIGITS = 5  # of states


@dataclass(frozen=True)
class Rows:
    """Further rows of a forecast; with `windows`, of one window."""

    window: int | None
    values: ArrayRows
    scaled: ArrayRows | None


@dataclass(frozen=True, slots=True)
class ForecastOutput(Output):
    """A forecast as a `result`."""

    result: ForecastResult


def joined(job: Job, forecasts: Sequence[Forecasted | TimedOut]) -> ForecastOutput:
    """The output of a series from those of its windows. A window that was not read before the deadline has no rows.
    Raises TimedOut if none was."""
    late = [forecast for forecast in forecasts if isinstance(forecast, TimedOut)]
    if len(late) == len(forecasts):
        raise TimedOut(late[0].detail)
    nothing = Forecasted(0, protocol.Table(len(_series(job.entry.manifest).targets), b""))
    return output(job, [nothing if isinstance(forecast, TimedOut) else forecast for forecast in forecasts])


def output(job: Job, forecasts: Sequence[Forecasted]) -> ForecastOutput:
    """The output of a series from the forecast of each window."""
    manifest, series = job.entry.manifest, _series(job.entry.manifest)
    members = [_members(one, forecast) for one, forecast in zip(job.parts, forecasts, strict=True)]
    result = ForecastResult.model_construct(
        targets=[target.name for target in series.targets],
        interval=series.interval,
        windows=_windows(job, members) if _cuts(job.options) else None,
        model=manifest.name,
        version=manifest.version,
        state=job.state(forecasts[-1].carried),
        **_errors(job, members),
        **members[-1],
    )
    return ForecastOutput(result)


def _windows(job: Job, members: Sequence[dict[str, Any]]) -> list[WindowForecast]:
    backtest, lasts = _backtest(job), last_rows(job)
    windows = []
    for last, own in zip(lasts, members, strict=True):
        actual = None if backtest is None else ArrayRows(backtest.actual(last, forecast_of(job).horizon))
        placed: dict[str, Any] = {"first": last - lasts[0], "last": last, "actual": actual}
        windows.append(WindowForecast.model_construct(**own, **placed))
    return windows


def _errors(job: Job, members: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The members of a result with the errors of its windows."""
    backtest = _backtest(job)
    if backtest is None:
        return {}
    errors = backtest.errors(last_rows(job), [own["values"].rows for own in members])
    return {
        "mean_absolute_error": errors.forecast or None,
        "persistence_mean_absolute_error": errors.persistence or None,
    }


def _backtest(job: Job) -> Backtest | None:
    """The past of a series that is cut into windows; None if it is not, or the model does not read its targets."""
    targets = _series(job.entry.manifest).targets
    return None if job.read.past is None else Backtest([target.name for target in targets], job.read.past)


def last_rows(job: Job) -> Sequence[int]:
    """The last row of each window."""
    assert isinstance(job.options, WindowOptions)
    series = _series(job.entry.manifest)
    first, step = job.options.unit(series) - 1, job.options.step(series)
    return range(first, first + step * len(job.parts), step)


def _members(job: Job, forecast: Forecasted) -> dict[str, Any]:
    """The members of a Forecast."""
    rows = rows_of(job, array_of(forecast.rows))
    is_whole = len(forecast.rows) == forecast_of(job).horizon
    states = None if forecast.states is None else ArrayRows(array_of(forecast.states), _DIGITS)
    return {
        "values": rows.values,
        "finish_reason": "length" if is_whole else "deadline",
        "scaled": rows.scaled,
        "states": states,
    }


def rows_of(job: Job, outputs: NDArray[np.float32]) -> Rows:
    """Outputs of the network with their units. Raises EngineFailed for a number that is too large."""
    manifest = job.entry.manifest
    values = unscaled(outputs, _series(manifest).targets)
    if not np.isfinite(values).all():
        raise EngineFailed(f"{manifest.key} forecasts a number that is too large; set horizon to a smaller number")
    return Rows(
        job.read.part if _cuts(job.options) else None,
        ArrayRows(values),
        ArrayRows(outputs) if values_options(job.options).scaled else None,
    )


def _cuts(options: TaskOptions) -> bool:
    """Whether each window is answered."""
    return isinstance(options, WindowOptions) and options.windows


def forecast_of(job: Job) -> protocol.Forecast:
    """The engine request of a job that forecasts."""
    assert isinstance(job.request, protocol.Forecast)
    return job.request


def _series(manifest: Manifest) -> SeriesInput:
    assert manifest.series is not None
    return manifest.series
