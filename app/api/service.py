"""The service: all routes use it to accept a request, prepare its jobs, and answer or stream them."""

import itertools
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, nullcontext
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.responses import Response

from app.api.access.guard import client_of, count_inputs, owner_of
from app.api.access.keys import Keys
from app.api.admission import TICKET, Admission, Ticket
from app.api.disconnect import UNWATCHED_SECONDS, UntilDisconnect
from app.api.events import EventStream
from app.api.options import Options
from app.api.pieces.open_streams import OpenStreams
from app.api.sessions.turn import AskedSession, Sessions, Turn
from app.engine.client import EngineClient
from app.engine.protocol import Terms
from app.errors import ModelUnavailable, Overloaded, TimedOut, TooManyInputs
from app.metrics import Metrics
from app.request_context import REQUEST_CONTEXT
from app.rollout import Rollout
from app.store.description import AnswerName, SourceName
from app.store.manifest import Manifest
from app.tasks.answers.limits import AnswerLimits
from app.tasks.answers.usage import usage_of
from app.tasks.catalog import Catalog, Selection
from app.tasks.job import Job, Output
from app.tasks.job_steps import check_steps
from app.tasks.jobs import Jobs
from app.tasks.options import TaskOptions
from app.tasks.run import answer_all, prepare, stream_all
from app.tasks.sources.source_kind import Reader, SourceKind
from app.tasks.task import Task
from app.turns import Pauses

TIMEOUT_HEADER = "x-timeout-ms"
_LONGEST_TIMEOUT = 10  # digits of the header


@dataclass(frozen=True)
class RequestLimits:
    """Inputs and cell steps of one request, seconds for one request, idle seconds before a keep-alive comment is sent
    on a stream, and bytes of a version that is uploaded."""

    inputs: int
    steps: int
    seconds: float
    keep_alive: float
    version_bytes: int = 0


class Service:
    """The tasks of one front end, behind admission."""

    def __init__(
        self,
        *,
        tasks: Sequence[Task],
        catalog: Catalog,
        client: EngineClient,
        reader: Reader,
        answer_limits: AnswerLimits,
        metrics: Metrics,
        admission: Admission,
        rollout: Rollout,
        keys: Keys,
        streams: OpenStreams,
        limits: RequestLimits,
        sessions: Sessions,
    ) -> None:
        self.tasks = {task.name: task for task in tasks}
        self.catalog = catalog
        self.client = client
        self.metrics = metrics
        self.admission = admission
        self.rollout = rollout
        self.keys = keys
        self.sessions = sessions
        self.streams = streams
        self._reader = reader
        self._answer_limits = answer_limits
        self._limits = limits
        self._groups = itertools.count(1)

    @property
    def most_inputs(self) -> int:
        """Limit of inputs in one request, at most that of admission: a larger request could never be admitted."""
        return min(self._limits.inputs, self.admission.most_inputs)

    @property
    def most_version_bytes(self) -> int:
        """Limit of the size of an uploaded version; 0 forbids uploads."""
        return self._limits.version_bytes

    @property
    def most_frames(self) -> int:
        """Limit of images in a clip."""
        return self._reader.limits.frames

    def task_of(self, manifest: Manifest) -> Task:
        """The task of a version in the catalog."""
        return self.tasks[manifest.task]

    def task_continuing(self, chosen: Options) -> Task:
        """The task of the chosen language model. Raises ModelNotFound and ModelUnavailable."""
        return self.task_with(chosen, "text", "tokens", continues=True)

    def task_with(self, chosen: Options, source: SourceName, answer: AnswerName, *, continues: bool) -> Task:
        """The task of the chosen model, which must have these kinds. Raises ModelNotFound and ModelUnavailable."""
        tasks = [task for task in self.tasks.values() if task.answer.kind == answer and task.continues == continues]
        names = [task.name for task in tasks if source in task.source.kinds]

        def takes(manifest: Manifest) -> bool:
            return (manifest.source, manifest.answer, manifest.continues) == (source, answer, continues)

        assert chosen.model is not None
        selection = Selection("", f"{' or '.join(names)} model", takes)
        return self.task_of(self.catalog.named(selection, chosen.model, chosen.version, self.client.view).manifest)

    def chosen(self, task: Task, options: Options, kinds: Sequence[SourceName]) -> Manifest:
        """The named model of a task, or its default for sources of `kinds`. Raises ModelNotFound, ModelUnavailable and
        UnknownLanguage."""
        if options.model is not None:
            return self.catalog.named(task.selection, options.model, options.version, self.client.view).manifest
        return self.catalog.default(task.selection, self.client.view, kinds=kinds).manifest

    def task_answering(self, answer: AnswerName) -> Task:
        """The first task with answers of this kind."""
        return next(task for task in self.tasks.values() if task.answer.kind == answer)

    def named(self, name: str, version: int | None) -> Manifest:
        """A version by name and number, of any task. Raises ModelNotFound and ModelUnavailable."""
        return self.catalog.named(None, name, version, self.client.view).manifest

    def source_of(self, model: str) -> SourceKind[Any]:
        """The source kind of a model; for an unknown name, that of the first task."""
        entries = self.catalog.of_name(model, self.client.view)
        tasks = [self.task_of(entry.manifest) for entry in entries] or [*self.tasks.values()]
        return tasks[0].source

    def check_count(self, inputs: int) -> None:
        """Raises TooManyInputs."""
        if inputs > self.most_inputs:
            raise TooManyInputs(
                f"the request has {inputs} inputs; the limit is {self.most_inputs}: send several requests",
                limit=self.most_inputs,
            )

    def accept(self, request: Request, options: Options, *, inputs: int) -> Terms:
        """The terms of a request whose body has been read. Raises TooManyInputs, RateLimited, Overloaded,
        TimedOut, RequestValidationError."""
        context = REQUEST_CONTEXT.get()
        if context is not None:
            context.inputs = inputs
        self.check_count(inputs)
        count_inputs(request, inputs, self.metrics)
        header = _timeout_of(request)
        timeout = options.timeout_ms or header
        milliseconds = self._limits.seconds * 1000
        seconds = (milliseconds if timeout is None else min(milliseconds, timeout)) / 1000 - ticket_of(request).waited
        if seconds <= 0:
            raise TimedOut("the deadline passed before the request could begin; retry later, or set a longer timeout")
        try:
            if options.timeout_ms is not None:  # a timeout in the head was checked there
                self.admission.check_time(seconds)  # before its inputs count: only other work delays it
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

    def until_disconnect(self, request: Request, terms: Terms) -> UntilDisconnect:
        """The context in which a request is answered. Raises ClientDisconnect and TimedOut."""
        assert terms.deadline is not None
        return UntilDisconnect(request.receive, terms.deadline, after=UNWATCHED_SECONDS)

    async def prepare(
        self,
        request: Request,
        task: Task,
        inputs: Sequence[Any],
        options: TaskOptions,
        chosen: Options,
        terms: Terms,
        turn: Turn | None = None,
    ) -> Jobs:
        """A job for each input, with the `chosen` model, in the `turn` of a session if there is one. Admission counts
        the cost of the jobs from now on. Raises InputTooLong and Overloaded for jobs that take too many cell steps."""

        async def prepare_now() -> list[Job]:
            jobs = await prepare(
                task,
                inputs,
                options,
                model=chosen.model,
                version=chosen.version,
                catalog=self.catalog,
                engines=self.client.view,
                reader=self._reader,
                limits=self._answer_limits,
                deadline=terms.deadline,
                session=turn.carrying if turn else None,
            )
            pauses, steps = Pauses(), 0
            for index, job in enumerate(jobs):
                steps += job.steps + sum(map(task.answer.later_steps, job.parts))
                check_steps(steps, self._limits.steps, index, job)
                await pauses.pause()
            try:
                ticket_of(request).count_steps(steps)
            except Overloaded:
                self.metrics.refused("overloaded")
                raise
            return jobs

        jobs = Jobs(task, prepare_now, names_version=chosen.version is not None)
        await jobs.begin()
        return jobs

    def turn(
        self, request: Request, asked: AskedSession | None, terms: Terms, *, inputs: int
    ) -> AbstractAsyncContextManager[Turn | None]:
        """The context in which a request of a session is answered; without a session it is None. Raises SessionLost,
        SessionsOff, SessionsUnreachable, InvalidState and InputError."""
        if asked is None:
            return nullcontext()
        assert terms.deadline is not None
        return self.sessions.turn(owner_of(request), asked, inputs=inputs, deadline=terms.deadline)

    async def answer(self, request: Request, jobs: Jobs, terms: Terms, turn: Turn | None = None) -> Sequence[Output]:
        """The output of each job, in order. `jobs` are prepared again while their version is a default that was
        unloaded meanwhile."""
        while True:
            try:
                outputs = await answer_all(jobs.task, self.client, jobs, terms)
                break
            except ModelUnavailable:
                if jobs.names_version:
                    raise
            await jobs.renew()
        context = REQUEST_CONTEXT.get()
        if context is not None:
            ticket_of(request).answered(context.started_at, context.ended_at)
        if turn is not None:
            await turn.keep(jobs[0], outputs[0])
        self._count(jobs, outputs)
        return outputs

    async def stream(
        self, request: Request, jobs: Jobs, terms: Terms, turn: Turn | None = None
    ) -> AsyncGenerator[tuple[int, Any], None]:
        """Deltas as they come, each with the index of its job. The last item of a job is its Output. `jobs` are
        prepared again as in `answer`, until the first delta."""
        while True:
            has_begun = False
            try:
                async with aclosing(self._stream(request, jobs, terms)) as items:
                    async for item in items:
                        has_begun = True
                        if turn is not None and isinstance(item[1], Output):
                            await turn.keep(jobs[item[0]], item[1])
                        yield item
                return
            except ModelUnavailable:
                if jobs.names_version or has_begun:
                    raise
            await jobs.renew()

    async def _stream(self, request: Request, jobs: Jobs, terms: Terms) -> AsyncGenerator[tuple[int, Any], None]:
        outputs: dict[int, Output] = {}
        context = REQUEST_CONTEXT.get()
        async with aclosing(stream_all(jobs.task, self.client, jobs, terms)) as items:
            async for index, item in items:
                if context is not None and not context.has_first_token:
                    context.has_first_token = True
                    counters = self.metrics.task(jobs.task.name)
                    counters.first_token_seconds.observe(time.monotonic() - context.started)
                if isinstance(item, Output):
                    outputs[index] = item
                yield index, item
        if context is not None:
            ticket_of(request).answered(context.started_at)  # its reader may be slow, which is no queue
        self._count(jobs, [outputs[index] for index in range(len(jobs))])

    def event_stream(
        self, events: AsyncGenerator[bytes, None], terms: Terms, until_end: AsyncExitStack | None = None
    ) -> EventStream:
        """The response that sends `events` as they come, and then closes `until_end`."""
        assert terms.deadline is not None
        return EventStream(events, deadline=terms.deadline, keep_alive=self._limits.keep_alive, until_end=until_end)

    def _count(self, jobs: Jobs, outputs: Sequence[Output]) -> None:
        usage, counters = usage_of(jobs, outputs), self.metrics.task(jobs.task.name)
        counters.inputs.inc(usage.inputs)
        counters.source_tokens.inc(usage.source_tokens)
        counters.emitted_tokens.inc(usage.emitted_tokens)
        context = REQUEST_CONTEXT.get()
        if context is not None:
            context.task = counters.name
            context.source_tokens, context.emitted_tokens = usage.source_tokens, usage.emitted_tokens
            counters.seconds.observe(time.monotonic() - context.started)


def ticket_of(request: Request) -> Ticket:
    """The admission ticket of a request."""
    ticket: Ticket = request.scope[TICKET]
    return ticket


def json_response(answer: BaseModel) -> Response:
    """An answer in JSON, without members that are None."""
    return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")


def _timeout_of(request: Request) -> int | None:
    text = request.headers.get(TIMEOUT_HEADER)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= _LONGEST_TIMEOUT and int(text)):
        message = "Input should be a whole number of milliseconds, at least 1"
        raise RequestValidationError([{"type": "timeout", "loc": ("header", "X-Timeout-Ms"), "msg": message}])
    return int(text)


def service_of(request: Request) -> Service:
    """The service of the app. Tasks call this directly, which is faster than a FastAPI dependency."""
    service: Service = request.app.state.service
    return service


async def _service_of(request: Request) -> Service:
    return service_of(request)  # a coroutine, since FastAPI calls plain functions in a thread


ServiceDependency = Annotated[Service, Depends(_service_of)]
