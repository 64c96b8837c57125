"""A source that comes in pieces: each is one request to the engine, from the state that the piece before left."""

import json
import math
from typing import Any, Protocol

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic_core import from_json
from starlette.types import Message

from app.api.access.guard import CALLER, Caller, rate_limited
from app.api.admission import TICKET, Ticket, overloaded
from app.api.body import JSON
from app.api.pieces.lines import Lines
from app.api.service import Service
from app.errors import ContradictoryOptions, TooManyInputs
from app.request_context import REQUEST_CONTEXT, RequestContext, context_of
from app.tasks.states.options import StartOptions
from app.tasks.task import Task

_LEFT_OUT = (b"content-type", b"content-length", b"transfer-encoding")


class BodyReader(Protocol):
    """The body of a task's requests."""

    async def read(self, request: Request, service: Service) -> tuple[Any, Any]:
        """Inputs and options."""


class PieceReader:
    """Answers the pieces of one stream. Members of a piece, but for its input, hold for the pieces after it."""

    def __init__(self, task: Task, body: BodyReader, request: Request, service: Service, lines: Lines) -> None:
        self._task = task
        self._body = body
        self._service = service
        self._lines = lines
        self._scope = request.scope
        headers = [item for item in request.scope["headers"] if item[0] not in _LEFT_OUT]
        self._headers = [*headers, (b"content-type", JSON.encode())]
        self._options: dict[str, Any] = {}
        self._state: str | None = None
        self._count = 0

    async def answer(self, line: bytes) -> list[bytes]:
        """The answer to what was read so far, in blocks. Raises what a request of its own would raise."""
        whole, piece = REQUEST_CONTEXT.get(), context_of([])
        if whole is not None:
            piece.id, piece.trace_id = whole.id, whole.trace_id
        token = REQUEST_CONTEXT.set(piece)
        try:
            return await self._answer(line)
        finally:
            REQUEST_CONTEXT.reset(token)
            if whole is not None:
                _add(whole, piece)

    async def _answer(self, line: bytes) -> list[bytes]:
        service, task = self._service, self._task
        await self._check_load()
        returns_state = self._take(line)
        ticket = Ticket(service.admission)
        content = json.dumps(self._members, ensure_ascii=False).encode()
        request = Request(
            {**self._scope, "headers": self._headers, TICKET: ticket}, _Body(content, self._lines).receive
        )
        try:
            inputs, options = await self._body.read(request, service)
            if len(inputs) != 1:
                raise TooManyInputs(f"a piece has {len(inputs)} inputs; send one in each line", limit=1)
            if isinstance(options, StartOptions) and options.session is not None:
                raise ContradictoryOptions(
                    "a stream keeps its state itself: leave out session, or send each piece as a request of it",
                    options=["session"],
                )
            if task.answer.streams(options):
                raise ContradictoryOptions("each piece has one answer; leave out stream", options=["stream"])
            terms = service.accept(request, options, inputs=1)
            async with service.until_disconnect(request, terms):
                jobs = await service.prepare(request, task, inputs, options, options, terms)
                outputs = await service.answer(request, jobs, terms)
            answer = task.answer.form.of(jobs, outputs)
            result: Any = outputs[0].result
            self._state = result.state
            if not returns_state:
                result.state = None
            self._count += 1
            return await answer.encoded()
        finally:
            ticket.close()
            if (caller := self._caller) is not None:
                caller.count_inputs(0)  # an idle stream has none

    @property
    def _caller(self) -> Caller | None:
        return self._scope.get(CALLER)

    async def _check_load(self) -> None:
        """Raises RateLimited and Overloaded. The head of the request was checked for the first piece."""
        if not self._count:
            return
        if (caller := self._caller) is not None and (exceeded := await caller.exceeded()) is not None:
            self._service.metrics.refused("rate-limited")
            raise rate_limited(exceeded)
        admission = self._service.admission
        if admission.refuses(math.inf):
            self._service.metrics.refused("overloaded")
            raise overloaded(admission, admission.retry_after())

    def _take(self, line: bytes) -> bool:
        """Take the members of a line. Whether its answer has the state."""
        try:
            given = from_json(line)
        except ValueError as error:
            raise _invalid("json_invalid", f"Invalid JSON: {error}") from error
        if not isinstance(given, dict):
            raise _invalid("json_invalid", "Invalid JSON: each line is an object with inputs")
        inputs = {"inputs": given.pop("inputs")} if "inputs" in given else {}
        if (state := given.pop("state", None)) is None:
            state = self._state
        self._options |= given
        returns = self._options.get("return_state")
        self._members = self._options | inputs | ({} if state is None else {"state": state})
        if returns in (None, False):
            self._members["return_state"] = True
        return returns is True


class _Body:
    """The body of a piece, and then the end of its stream."""

    def __init__(self, content: bytes, lines: Lines) -> None:
        self._content: bytes | None = content
        self._lines = lines

    async def receive(self) -> Message:
        if self._content is None:
            return await self._lines.gone()
        content, self._content = self._content, None
        return {"type": "http.request", "body": content, "more_body": False}


def _invalid(kind: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"type": kind, "loc": ("body",), "msg": message}])


def _add(whole: RequestContext, piece: RequestContext) -> None:
    """Add a piece to what the log tells about its stream."""
    whole.task = piece.task or whole.task
    whole.inputs = (whole.inputs or 0) + (piece.inputs or 0)
    whole.source_tokens = (whole.source_tokens or 0) + (piece.source_tokens or 0)
    whole.models |= piece.models
    whole.problem = piece.problem or whole.problem
