"""What the routes share: the tasks, and the way from an accepted request to its answer."""

import itertools
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.responses import Response

from app.api.access.guard import client_of, count_inputs
from app.api.access.keys import Keys
from app.api.disconnect import Attending
from app.api.events import EventStream, error_event, event
from app.api.middleware.admission import TICKET, Admission, Ticket
from app.api.schemas import Options, SentenceAnswer, StreamDone, StreamedResult, StreamedToken
from app.engine.client import EngineClient
from app.engine.protocol import Terms
from app.errors import Overloaded, TooManyInputs
from app.metrics import Metrics, TaskCounters
from app.request_context import REQUEST_CONTEXT
from app.rollout import Rollout
from app.tasks.answers.results import Usage
from app.tasks.answers.tokens import speak_all, steps_of, stream_all, summed
from app.tasks.answers.transcript import Delta, Job, Spoken
from app.tasks.catalog import Catalog

Task = TypeVar("Task")
TIMEOUT_HEADER = "x-timeout-ms"
_LONGEST_TIMEOUT = 10  # digits of the header


@dataclass(frozen=True)
class Limits:
    """Inputs of one request, seconds for one request, seconds of silence in a stream."""

    inputs: int
    seconds: float
    keep_alive: float


class Service:
    """Tasks behind admission: everything that one front end serves."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        client: EngineClient,
        metrics: Metrics,
        tasks: Iterable[object],
        admission: Admission,
        rollout: Rollout,
        keys: Keys,
        limits: Limits,
    ) -> None:
        self.catalog = catalog
        self.client = client
        self.metrics = metrics
        self.admission = admission
        self.rollout = rollout
        self.keys = keys
        self._tasks = {type(task): task for task in tasks}
        self._limits = limits
        self._groups = itertools.count(1)

    def task(self, kind: type[Task]) -> Task:
        """The task of a class, such as `Sentiment`."""
        task = self._tasks[kind]
        assert isinstance(task, kind)
        return task

    @property
    def most_inputs(self) -> int:
        """Inputs of one request: no more than may ever wait, or such a request would be sent again for ever."""
        return min(self._limits.inputs, self.admission.most_inputs)

    def held_by(self, model: str) -> Literal["texts", "images"]:
        """What the bodies of requests to a model hold."""
        entries = self.catalog.of_name(model, self.client.view)
        return "images" if any(entry.manifest.image for entry in entries) else "texts"

    def check_count(self, inputs: int) -> None:
        """Raises TooManyInputs."""
        if inputs > self.most_inputs:
            raise TooManyInputs(
                f"the request has {inputs} inputs; at most {self.most_inputs} are taken: send several requests",
                limit=self.most_inputs,
            )

    def accept(self, request: Request, options: Options, *, inputs: int) -> Terms:
        """The terms of a request that has been read. Raises TooManyInputs, RateLimited, Overloaded,
        RequestValidationError."""
        record = REQUEST_CONTEXT.get()
        if record is not None:
            record.inputs = inputs
        self.check_count(inputs)
        count_inputs(request, inputs, self.metrics)
        in_header = _timeout_of(request)
        timeout = options.timeout_ms or in_header
        seconds = self._limits.seconds if timeout is None else min(self._limits.seconds, timeout / 1000)
        try:
            self.admission.check_time(seconds)  # by what others wait for, not by its own guess
            ticket_of(request).count_inputs(inputs)
        except Overloaded:
            self.metrics.refused("overloaded")
            raise
        return Terms(
            priority=options.priority,
            deadline=time.monotonic() + seconds,
            client=client_of(request),
            group=next(self._groups),
        )

    def attending(self, request: Request, terms: Terms) -> Attending:
        """The context in which a request is worked on. Raises ClientDisconnect and TimedOut."""
        assert terms.deadline is not None
        return Attending(request.receive, terms.deadline)

    def answered(self, request: Request, counters: TaskCounters, usage: Usage) -> None:
        """Count what was answered."""
        ticket_of(request).is_answered = True
        counters.inputs.inc(usage.inputs)
        counters.source_tokens.inc(usage.source_tokens)
        counters.emitted_tokens.inc(usage.emitted_tokens)
        record = REQUEST_CONTEXT.get()
        if record is not None:
            record.task = counters.name
            record.source_tokens, record.emitted_tokens = usage.source_tokens, usage.emitted_tokens
            counters.seconds.observe(time.monotonic() - record.started)

    async def sentences(
        self, request: Request, preparing: Awaitable[Sequence[Job]], terms: Terms, counters: TaskCounters
    ) -> Response:
        """The answer of a task that emits: JSON, or events if that was asked for."""
        async with self.attending(request, terms):
            jobs = await self.counted(request, preparing)
            if not jobs[0].options.stream:
                results, usage = summed(jobs, await self.spoken(request, jobs, terms, counters))
                return json_response(SentenceAnswer(results=results, usage=usage))
        return self.event_stream(self._events(request, jobs, terms, counters), terms)

    async def counted(self, request: Request, preparing: Awaitable[Sequence[Job]]) -> Sequence[Job]:
        """The jobs of a request, which from now on counts as what they take."""
        jobs = await preparing
        ticket_of(request).count_steps(steps_of(jobs))
        return jobs

    async def spoken(
        self, request: Request, jobs: Sequence[Job], terms: Terms, counters: TaskCounters
    ) -> Sequence[Spoken]:
        """A sentence for each job, in order."""
        spoken = await speak_all(self.client, jobs, terms)
        self.answered(request, counters, summed(jobs, spoken)[1])
        return spoken

    async def streamed(
        self, request: Request, jobs: Sequence[Job], terms: Terms, counters: TaskCounters
    ) -> AsyncGenerator[tuple[int, Delta | Spoken], None]:
        """What comes of each job as it comes, with its place; the whole is the last of each."""
        spoken: dict[int, Spoken] = {}
        record = REQUEST_CONTEXT.get()
        async with aclosing(stream_all(self.client, jobs, terms)) as streamed:
            async for place, item in streamed:
                if record is not None and not record.has_first_token:
                    record.has_first_token = True
                    counters.first_token_seconds.observe(time.monotonic() - record.started)
                if isinstance(item, Spoken):
                    spoken[place] = item
                yield place, item
        _, usage = summed(jobs, [spoken[place] for place in range(len(jobs))])
        self.answered(request, counters, usage)

    def event_stream(
        self,
        events: AsyncGenerator[bytes, None],
        terms: Terms,
        failed: Callable[[Mapping[str, object]], bytes] = error_event,
    ) -> EventStream:
        """The answer that tells `events` as they come, and what goes wrong by `failed`."""
        assert terms.deadline is not None
        return EventStream(events, deadline=terms.deadline, keep_alive=self._limits.keep_alive, failed=failed)

    async def _events(
        self, request: Request, jobs: Sequence[Job], terms: Terms, counters: TaskCounters
    ) -> AsyncGenerator[bytes, None]:
        spoken: dict[int, Spoken] = {}
        async with aclosing(self.streamed(request, jobs, terms, counters)) as streamed:
            async for place, item in streamed:
                if isinstance(item, Spoken):
                    spoken[place] = item
                    yield event("result", StreamedResult(input=place, result=item.result))
                else:
                    yield event("token", StreamedToken(input=place, text=item.text, tokens=item.tokens))
        _, usage = summed(jobs, [spoken[place] for place in range(len(jobs))])
        yield event("done", StreamDone(usage=usage))


def ticket_of(request: Request) -> Ticket:
    """What admission counts a request as."""
    ticket: Ticket = request.scope[TICKET]
    return ticket


def json_response(answer: BaseModel) -> Response:
    """An answer in JSON, without the members that nobody asked for."""
    return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")


def _timeout_of(request: Request) -> int | None:
    text = request.headers.get(TIMEOUT_HEADER)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= _LONGEST_TIMEOUT and int(text)):
        message = "Input should be a number of milliseconds from 1"
        raise RequestValidationError([{"type": "timeout", "loc": ("header", "X-Timeout-Ms"), "msg": message}])
    return int(text)


def service_of(request: Request) -> Service:
    """The service of the app that answers. The tasks call it themselves, which costs less than a dependency."""
    service: Service = request.app.state.service
    return service


async def _service_of(request: Request) -> Service:
    return service_of(request)  # a coroutine, since the framework calls a function in a thread


ServiceDependency = Annotated[Service, Depends(_service_of)]
