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
        None, description="Steps ahead; the model's own when left out. Only a model that feeds back has no limit of its own."
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
    windows = None
    if _cuts(job.options):
        assert isinstance(job.options, WindowOptions)
        unit, step = job.options.unit(series), job.options.step(series)
        windows = [
            WindowForecast.model_construct(first=part * step, last=part * step + unit - 1, **own)
            for part, own in enumerate(members)
        ]
    result = ForecastResult.model_construct(
        targets=[target.name for target in series.targets],
        interval=series.interval,
        windows=windows,
        model=manifest.name,
        version=manifest.version,
        **members[-1],
    )
    return ForecastOutput(result)


def _members(job: Job, forecast: Forecasted) -> dict[str, Any]:
    """The members of a Forecast."""
    assert isinstance(job.request, protocol.Forecast)
    rows = _rows(job, array_of(forecast.rows))
    is_whole = len(forecast.rows) == job.request.horizon
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
        assert isinstance(job.request, protocol.Forecast)
        horizon = job.request.horizon
        if horizon > limit:
            raise ContradictoryOptions(
                f"horizon is {horizon}; the limit of the service is {limit}: set it to {limit} or less",
                options=["horizon"],
            )


def _numbers(job: Job) -> int:
    """The numbers of an answer, at most."""
    assert isinstance(job.request, protocol.Forecast)
    architecture, options = _forecaster(job.entry.manifest), _options(job.options)
    forecast = job.request.horizon * architecture.targets * (1 + options.scaled) * len(job.parts)
    return forecast + (
        sum(part.read.steps for part in job.parts) * architecture.encoder.memory_size if options.states else 0
    )


def _cuts(options: TaskOptions) -> bool:
    """Whether each window is answered."""
    return isinstance(options, WindowOptions) and options.windows


def _options(options: TaskOptions) -> ValuesOptions:
    """The options of a task that answers with values; the defaults if it has none of them."""
    return options if isinstance(options, ValuesOptions) else ValuesOptions()


def _forecaster(manifest: Manifest) -> Forecaster:
    assert isinstance(manifest.architecture, Forecaster)
    return manifest.architecture


def _series(manifest: Manifest) -> SeriesInput:
    assert manifest.series is not None
    return manifest.series
