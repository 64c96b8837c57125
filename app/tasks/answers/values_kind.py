"""The answer kind `values`: a forecast, whole or streamed, of a series or of each window of it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import numpy as np

from app.engine import protocol
from app.engine.check import check_horizon
from app.engine.client import EngineClient
from app.engine.protocol import AnswerSpec, Forecasted, Terms
from app.errors import ContradictoryOptions, InputTooLong, TimedOut
from app.store.forecaster import Forecaster
from app.store.manifest import Manifest
from app.tasks.answers.answer_kind import AnswerForm, AnswerKind
from app.tasks.answers.forecast_output import ForecastOutput, Rows, forecast_of, joined, last_rows, output, rows_of
from app.tasks.answers.limits import AnswerLimits
from app.tasks.answers.number_rows import array_of
from app.tasks.answers.usage import Usage
from app.tasks.answers.value_results import ForecastResult
from app.tasks.answers.values_options import values_options
from app.tasks.catalog import Entry
from app.tasks.columns import ANY, Column
from app.tasks.concurrently import concurrently, interleaved
from app.tasks.job import Job, ReadSource
from app.tasks.options import TaskOptions


class ForecastAnswer(AnswerForm):
    """One result per input, in the same order."""

    results: list[ForecastResult]
    usage: Usage

    @property
    def has_pieces(self) -> bool:
        return True


class ValuesKind(AnswerKind):
    """Rows of numbers: a forecast of the targets of a model."""

    kind = "values"
    form = ForecastAnswer

    def plan(self, entry: Entry, options: TaskOptions) -> protocol.Forecast:
        """See `AnswerKind.plan`."""
        wanted, architecture = values_options(options), _forecaster(entry.manifest)
        horizon = wanted.horizon or architecture.horizon
        check_horizon(entry.manifest, horizon)
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
        return values_options(options).stream

    async def answer(self, client: EngineClient, job: Job, terms: Terms) -> ForecastOutput:
        """See `AnswerKind.answer`."""
        if not job.following:
            return output(job, [await _answer(client, job, terms)])
        return joined(job, await concurrently([_answer_unless_late(client, one, terms) for one in job.parts]))

    async def stream(self, client: EngineClient, job: Job, terms: Terms) -> AsyncGenerator[Rows | ForecastOutput, None]:
        """See `AnswerKind.stream`. The windows of a series are forecast at the same time."""
        ended: dict[int, Forecasted | TimedOut] = {}
        async with aclosing(interleaved([_stream(client, one, terms) for one in job.parts])) as items:
            async for part, item in items:
                if isinstance(item, Rows):
                    yield item
                else:
                    ended[part] = item
        yield joined(job, [ended[part] for part in range(len(job.parts))])

    def columns(self, manifest: Manifest) -> tuple[Column, ...]:
        """See `AnswerKind.columns`."""
        values = Column("values", "float32", (ANY, _forecaster(manifest).targets), ("horizon",))
        return values, Column("finish_reason", "text")


async def _answer(client: EngineClient, job: Job, terms: Terms) -> Forecasted:
    forecasted = await client.answer(job.key, job.read.source, job.request, terms, cost=job.cost, carry=job.read.carry)
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
        async with aclosing(
            client.stream(job.key, job.read.source, job.request, terms, cost=job.cost, carry=job.read.carry)
        ) as events:
            async for event in events:
                rows = array_of(event.rows)[sent:] if isinstance(event, Forecasted) else array_of(event.rows)
                sent += len(rows)
                if len(rows):
                    yield rows_of(job, rows)
                if isinstance(event, Forecasted):
                    yield event
    except TimedOut as error:
        yield error


def _check_horizons(jobs: Sequence[Job], limit: int) -> None:
    for job in jobs:
        horizon = forecast_of(job).horizon
        if horizon > limit:
            raise ContradictoryOptions(
                f"horizon is {horizon}; the limit of the service is {limit}: set it to {limit} or less",
                options=["horizon"],
            )


def _numbers(job: Job) -> int:
    """The numbers of an answer, at most."""
    architecture, options = _forecaster(job.entry.manifest), values_options(job.options)
    horizon, targets = forecast_of(job).horizon, architecture.targets
    forecast = horizon * targets * (1 + options.scaled) * len(job.parts)
    past, states = job.read.past, 0
    if past is not None:
        following = len(past) - 1 - np.array(last_rows(job))
        forecast += targets * int(following.clip(0, horizon).sum())
    if options.states:
        states = sum(part.read.steps for part in job.parts) * architecture.encoder.memory_size
    return forecast + states


def _forecaster(manifest: Manifest) -> Forecaster:
    assert isinstance(manifest.architecture, Forecaster)
    return manifest.architecture
