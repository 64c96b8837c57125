"""The answer kind `values`: a forecast, whole or streamed, of a series or of each window of it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from app.engine import protocol
from app.engine.client import EngineClient
from app.engine.protocol import AnswerSpec, Forecasted, Terms
from app.errors import ContradictoryOptions, EngineFailed, InputTooLong, TimedOut
from app.store.architecture import Forecaster
from app.store.manifest import Manifest, SeriesInput
from app.tasks.answers.answer_kind import AnswerForm, AnswerKind
from app.tasks.answers.backtest import Backtest
from app.tasks.answers.limits import LONGEST_HORIZON, AnswerLimits
from app.tasks.answers.number_rows import ArrayRows, array_of
from app.tasks.answers.usage import Usage
from app.tasks.answers.value_results import ForecastResult, WindowForecast
from app.tasks.catalog import Entry
from app.tasks.columns import ANY, Column
from app.tasks.concurrently import concurrently, interleaved
from app.tasks.job import Job, Output, ReadSource
from app.tasks.options import TaskOptions, WindowOptions
from app.tasks.scaling import unscaled

_DIGITS = 5  # of states


class ValuesOptions(TaskOptions):
    """How far to forecast, and what to add to the forecast."""

    horizon: Annotated[int, Field(ge=1, le=LONGEST_HORIZON)] | None = Field(
        None,
        description="Steps ahead; the model's own when left out. Only a model that feeds back has no limit of its own.",
    )
    scaled: bool = Field(False, description="Add `scaled`: the network's outputs, before they get their units.")
    states: bool = Field(False, description="Add `states`: the hidden state of the top layer after each step.")
    stream: bool = Field(False, description="Answer with server-sent events during the forecast.")


class ForecastAnswer(AnswerForm):
    """One result per input, in the same order."""

    results: list[ForecastResult]
    usage: Usage

    @property
    def has_pieces(self) -> bool:
        return True


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


class ValuesKind(AnswerKind):
    """Rows of numbers: a forecast of the targets of a model."""

    kind = "values"
    form = ForecastAnswer

    def plan(self, entry: Entry, options: TaskOptions) -> protocol.Forecast:
        """See `AnswerKind.plan`."""
        wanted, architecture = _options(options), _forecaster(entry.manifest)
        horizon = wanted.horizon or architecture.horizon
        if horizon > architecture.horizon and not architecture.is_stepwise:
            raise ContradictoryOptions(
                f"horizon is {horizon}; {entry.manifest.name} forecasts at most {architecture.horizon} steps: set "
                f"it to {architecture.horizon} or less",
                options=["horizon"],
            )
        return protocol.Forecast(horizon, states=wanted.states)

    def request(self, plan: AnswerSpec, entry: Entry, read: ReadSource, options: TaskOptions, index: int) -> AnswerSpec:
        """See `AnswerKind.request`."""
        return plan

    def check(self, jobs: Sequence[Job], options: TaskOptions, limits: AnswerLimits) -> None:
        """See `AnswerKind.check`."""
        _check_horizons(jobs, limits.horizon)
        numbers = sum(map(_numbers, jobs))
        if numbers > limits.numbers:
            raise InputTooLong(
                f"the forecasts and states of the request have {numbers} numbers; the limit is {limits.numbers}: "
                "send fewer or shorter series, set horizon to a smaller number or stride to a larger one, or leave out "
                "states",
                limit=limits.numbers,
            )

    def streams(self, options: TaskOptions) -> bool:
        """See `AnswerKind.streams`."""
        return _options(options).stream

    async def answer(self, client: EngineClient, job: Job, terms: Terms) -> ForecastOutput:
        """See `AnswerKind.answer`."""
        if not job.following:
            return _output(job, [await _answer(client, job, terms)])
        return _joined(job, await concurrently([_answer_unless_late(client, one, terms) for one in job.parts]))

    async def stream(self, client: EngineClient, job: Job, terms: Terms) -> AsyncGenerator[Rows | ForecastOutput, None]:
        """See `AnswerKind.stream`. The windows of a series are forecast at the same time."""
        ended: dict[int, Forecasted | TimedOut] = {}
        async with aclosing(interleaved([_stream(client, one, terms) for one in job.parts])) as items:
            async for part, item in items:
                if isinstance(item, Rows):
                    yield item
                else:
                    ended[part] = item
        yield _joined(job, [ended[part] for part in range(len(job.parts))])

    def columns(self, manifest: Manifest) -> tuple[Column, ...]:
        """See `AnswerKind.columns`."""
        values = Column("values", "float32", (ANY, _forecaster(manifest).targets), ("horizon",))
        return values, Column("finish_reason", "text")


async def _answer(client: EngineClient, job: Job, terms: Terms) -> Forecasted:
    forecasted = await client.answer(job.key, job.read.source, job.request, terms, cost=job.cost)
    assert isinstance(forecasted, Forecasted)
    return forecasted


async def _answer_unless_late(client: EngineClient, job: Job, terms: Terms) -> Forecasted | TimedOut:
    """The answer, or the error of a window that was not read before the deadline."""
    try:
        return await _answer(client, job, terms)
    except TimedOut as error:
        return error


async def _stream(client: EngineClient, job: Job, terms: Terms) -> AsyncGenerator[Rows | Forecasted | TimedOut, None]:
    """The rows of one window as they come, then its last event."""
    assert isinstance(job.request, protocol.Forecast)
    sent = 0
    try:
        async with aclosing(client.stream(job.key, job.read.source, job.request, terms, cost=job.cost)) as events:
            async for event in events:
                rows = array_of(event.rows)[sent:] if isinstance(event, Forecasted) else array_of(event.rows)
                sent += len(rows)
                if len(rows):
                    yield _rows(job, rows)
                if isinstance(event, Forecasted):
                    yield event
    except TimedOut as error:
        yield error


def _joined(job: Job, forecasts: Sequence[Forecasted | TimedOut]) -> ForecastOutput:
    """The output of a series from those of its windows. A window that was not read before the deadline has no rows.
    Raises TimedOut if none was."""
    late = [forecast for forecast in forecasts if isinstance(forecast, TimedOut)]
    if len(late) == len(forecasts):
        raise TimedOut(late[0].detail)
    nothing = Forecasted(0, protocol.Table(_forecaster(job.entry.manifest).targets, b""))
    return _output(job, [nothing if isinstance(forecast, TimedOut) else forecast for forecast in forecasts])


def _output(job: Job, forecasts: Sequence[Forecasted]) -> ForecastOutput:
    manifest, series = job.entry.manifest, _series(job.entry.manifest)
    members = [_members(one, forecast) for one, forecast in zip(job.parts, forecasts, strict=True)]
    result = ForecastResult.model_construct(
        targets=[target.name for target in series.targets],
        interval=series.interval,
        windows=_windows(job, members) if _cuts(job.options) else None,
        model=manifest.name,
        version=manifest.version,
        **_errors(job, members),
        **members[-1],
    )
    return ForecastOutput(result)


def _windows(job: Job, members: Sequence[dict[str, Any]]) -> list[WindowForecast]:
    backtest, lasts = _backtest(job), _lasts(job)
    windows = []
    for last, own in zip(lasts, members, strict=True):
        actual = None if backtest is None else ArrayRows(backtest.actual(last, _forecast(job).horizon))
        placed: dict[str, Any] = {"first": last - lasts[0], "last": last, "actual": actual}
        windows.append(WindowForecast.model_construct(**own, **placed))
    return windows


def _errors(job: Job, members: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The members of a result with the errors of its windows."""
    backtest = _backtest(job)
    if backtest is None:
        return {}
    errors = backtest.errors(_lasts(job), [own["values"].rows for own in members])
    return {
        "mean_absolute_error": errors.forecast or None,
        "persistence_mean_absolute_error": errors.persistence or None,
    }


def _backtest(job: Job) -> Backtest | None:
    """The past of a series that is cut into windows; None if it is not, or the model does not read its targets."""
    targets = _series(job.entry.manifest).targets
    return None if job.read.past is None else Backtest([target.name for target in targets], job.read.past)


def _lasts(job: Job) -> Sequence[int]:
    """The last row of each window."""
    assert isinstance(job.options, WindowOptions)
    series = _series(job.entry.manifest)
    first, step = job.options.unit(series) - 1, job.options.step(series)
    return range(first, first + step * len(job.parts), step)


def _members(job: Job, forecast: Forecasted) -> dict[str, Any]:
    """The members of a Forecast."""
    rows = _rows(job, array_of(forecast.rows))
    is_whole = len(forecast.rows) == _forecast(job).horizon
    states = None if forecast.states is None else ArrayRows(array_of(forecast.states), _DIGITS)
    return {
        "values": rows.values,
        "finish_reason": "length" if is_whole else "deadline",
        "scaled": rows.scaled,
        "states": states,
    }


def _rows(job: Job, outputs: NDArray[np.float32]) -> Rows:
    """Outputs of the network with their units. Raises EngineFailed for a number that is too large."""
    manifest = job.entry.manifest
    values = unscaled(outputs, _series(manifest).targets)
    if not np.isfinite(values).all():
        raise EngineFailed(f"{manifest.key} forecasts a number that is too large; set horizon to a smaller number")
    return Rows(
        job.read.part if _cuts(job.options) else None,
        ArrayRows(values),
        ArrayRows(outputs) if _options(job.options).scaled else None,
    )


def _check_horizons(jobs: Sequence[Job], limit: int) -> None:
    for job in jobs:
        horizon = _forecast(job).horizon
        if horizon > limit:
            raise ContradictoryOptions(
                f"horizon is {horizon}; the limit of the service is {limit}: set it to {limit} or less",
                options=["horizon"],
            )


def _numbers(job: Job) -> int:
    """The numbers of an answer, at most."""
    architecture, options = _forecaster(job.entry.manifest), _options(job.options)
    horizon, targets = _forecast(job).horizon, architecture.targets
    forecast = horizon * targets * (1 + options.scaled) * len(job.parts)
    past, states = job.read.past, 0
    if past is not None:
        following = len(past) - 1 - np.array(_lasts(job))
        forecast += targets * int(following.clip(0, horizon).sum())
    if options.states:
        states = sum(part.read.steps for part in job.parts) * architecture.encoder.memory_size
    return forecast + states


def _cuts(options: TaskOptions) -> bool:
    """Whether each window is answered."""
    return isinstance(options, WindowOptions) and options.windows


def _options(options: TaskOptions) -> ValuesOptions:
    """The options of a task that answers with values; the defaults if it has none of them."""
    return options if isinstance(options, ValuesOptions) else ValuesOptions()


def _forecaster(manifest: Manifest) -> Forecaster:
    assert isinstance(manifest.architecture, Forecaster)
    return manifest.architecture


def _forecast(job: Job) -> protocol.Forecast:
    assert isinstance(job.request, protocol.Forecast)
    return job.request


def _series(manifest: Manifest) -> SeriesInput:
    assert manifest.series is not None
    return manifest.series
