"""Admission: who is let in, decided from the head of a request before anything else is done for it.

A plain ASGI middleware, outermost but for the one that counts. What it counts a request as is a guess from its length,
corrected when the request has been read; a refusal reads no body and is made of bytes that were there before.
"""

import asyncio
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.paths import Paths
from app.api.problems import KINDS, problem_response
from app.engine.cost import IMAGE_STEPS
from app.errors import NotReady, Overloaded, UnrollError
from app.request_context import note_problem

TICKET = "unroll.ticket"  # its key in an ASGI scope
TIMEOUT_HEADER = b"x-timeout-ms"
BYTES_PER_STEP = 4.0  # of a text
UNKNOWN_STEPS = 64.0  # of a body without a length
MOST_GUESSED_STEPS = 50_000.0  # whatever length is announced: others check that
_WINDOW = 10.0  # seconds over which the rate is measured
_LONGEST_RETRY, _STARTING_RETRY = 60, 2  # seconds
_SMALL_BODY = 65_536  # bytes that have come, or will soon: they are thrown away and the connection is kept
_LAG_SECONDS = 0.02  # between two looks at how far the event loop is behind
_ORDINARY_LAG = 0.02  # seconds that it may be behind with nothing amiss
_SAFE = 0.5  # of the time that a request has, which what is pending may take: the rate is a mean, and no promise
_SOON = 0.25  # of the time that a request has: whose requests are answered faster, that service keeps up
_NEW = 0.1  # weight of the latest request in the mean of how long requests take
_TIMEOUT = re.compile(rb"(?:^|&)timeout_ms=(\d{1,10})(?:&|$)")  # in a query string
_LINGER_SECONDS = 2.0  # a connection closed on a client that still sends would take the answer from it


class Ticket:
    """A request that was let in: what it counts as, until it is closed."""

    __slots__ = ("_admission", "inputs", "is_answered", "read_at", "steps")

    def __init__(self, admission: "Admission", inputs: int, steps: float) -> None:
        self._admission = admission
        self.inputs = inputs
        self.steps = steps
        self.read_at: float | None = None  # while its body has not come, it is no work
        self.is_answered = False

    def count_inputs(self, inputs: int) -> None:
        """The request has been read, and has so many. Raises Overloaded when there is no room for them."""
        self._admission.check_inputs(inputs - self.inputs)
        self._admission.inputs += inputs - self.inputs
        self.inputs = inputs
        self._admission.read(self)

    def count_steps(self, steps: float) -> None:
        """Correct the guess; what is known now was let in already."""
        self._admission.correct(self, steps)

    def close(self) -> None:
        """The request is over, answered or not."""
        self._admission.close(self)


class Admission:
    """Counts requests, inputs and cell steps that are let in and not answered, and how fast they are answered.

    The rate is an exponentially weighted mean over the seconds in which something that had been read was pending: a
    body that comes slowly, or never, is no work, and says nothing of how fast work is done. A request larger than
    `most_steps` is let in when nothing else is there. Pure logic; `clock` is in seconds.
    """

    def __init__(self, *, most_inputs: int, most_steps: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.most_inputs = most_inputs
        self.most_steps = most_steps
        self.requests = 0
        self.inputs = 0
        self.steps = 0.0
        self.waiting_requests = 0  # that have been read
        self.waiting_steps = 0.0  # of those
        self.is_draining = False
        self.lag = 0.0  # seconds that the event loop is behind, see `watch_lag`
        self._clock = clock
        self._looked = clock()
        self._weight = 0.0  # of the seconds that were measured, at most 1
        self._done = 0.0  # cell steps answered, weighted
        self._took = 0.0  # seconds from being read to being answered, a mean of the latest

    def admit(self, inputs: int, steps: float) -> Ticket | None:
        """Let a request in, unless it is full."""
        if self.inputs + inputs > self.most_inputs or (self.steps and self.steps + steps > self.most_steps):
            return None
        self.requests += 1
        self.inputs += inputs
        self.steps += steps
        return Ticket(self, inputs, steps)

    def check_inputs(self, more: int) -> None:
        """Raises Overloaded when there is no room for `more` inputs."""
        if self.inputs + more > self.most_inputs:
            raise overloaded(self, self.retry_after())

    def is_too_late(self, seconds: float) -> bool:
        """Whether what waits will, at this rate, take more than a safe part of what a request has.

        An event loop that is behind has not seen what waits in its sockets: as long as it is behind, so long has this
        request waited there, and so long will its answer. The rate of a service that is not busy is that of its
        clients, and says little of what it could do in larger batches: nobody is late as long as others are answered
        soon.
        """
        rate = self.rate if self._took > _SOON * seconds else 0.0
        behind = 2 * self.lag if self.lag > _ORDINARY_LAG else 0.0
        return behind + (self.waiting_steps / rate if rate else 0.0) > _SAFE * seconds

    def check_time(self, seconds: float) -> None:
        """Raises Overloaded when the answer would come too late: better said now than after the work."""
        if self.is_too_late(seconds):
            raise overloaded(self, self.retry_after())

    def read(self, ticket: Ticket) -> None:
        """Its body has come: what it is guessed to take waits to be run from now on."""
        if ticket.read_at is None:
            self._look()
            ticket.read_at = self._looked
            self.waiting_requests += 1
            self.waiting_steps += ticket.steps

    def correct(self, ticket: Ticket, steps: float) -> None:
        self.steps += steps - ticket.steps
        if ticket.read_at is not None:
            self.waiting_steps += steps - ticket.steps
        ticket.steps = steps

    def close(self, ticket: Ticket) -> None:
        self._look()
        if ticket.is_answered:
            self._done += ticket.steps
            if ticket.read_at is not None:
                took = self._looked - ticket.read_at
                self._took = self._took + _NEW * (took - self._took) if self._took else took
        self.requests -= 1
        self.inputs -= ticket.inputs
        self.steps = self.steps - ticket.steps if self.requests else 0.0  # no rounding stays behind
        if ticket.read_at is not None:
            self.waiting_requests -= 1
            self.waiting_steps = self.waiting_steps - ticket.steps if self.waiting_requests else 0.0

    def drain(self) -> None:
        """The service has been told to end, which its probes tell; who reaches it all the same is answered."""
        self.is_draining = True

    def figures(self) -> dict[str, float]:
        """What was let in and is not answered, by the names of the metrics."""
        return {"requests": self.requests, "inputs": self.inputs, "steps": self.steps}

    @property
    def rate(self) -> float:
        """Cell steps answered per second while something was waiting; 0 before anything was."""
        self._look()
        return self._done / (_WINDOW * self._weight) if self._weight else 0.0

    def retry_after(self) -> int:
        """Seconds in which what is waiting will have been answered, at least 1."""
        rate = self.rate
        return min(_LONGEST_RETRY, max(1, math.ceil(self.waiting_steps / rate))) if rate else 1

    def _look(self) -> None:
        now = self._clock()
        if self.waiting_requests:
            kept = math.exp((self._looked - now) / _WINDOW)
            self._done *= kept
            self._weight = 1 - (1 - self._weight) * kept
        self._looked = now


async def watch_lag(admission: Admission) -> None:
    """Keep `admission.lag`, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _LAG_SECONDS
        await asyncio.sleep(_LAG_SECONDS)
        admission.lag = max(loop.time() - due, 0.5 * admission.lag)


def overloaded(admission: Admission, seconds: int) -> Overloaded:
    """The error of what is refused because too much is pending."""
    return Overloaded(
        f"too much is waiting: at most {admission.most_inputs} inputs and {admission.most_steps:.0f} cell steps are "
        f"accepted, and no more than can be answered in time; send it again in {seconds} s",
        retry_after_seconds=seconds,
    )


class Gate:
    """Lets requests to the tasks in, each with a ticket in its scope, or refuses them.

    `paths` are those of the tasks, by what their bodies hold: `texts`, `images`, or `tensors`, either of both.
    Whether an engine has been ready, and where refusals are counted, the app's service says.
    """

    def __init__(self, app: ASGIApp, admission: Admission, paths: Mapping[str, str]) -> None:
        self._app = app
        self._admission = admission
        self._paths = Paths(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._paths.find(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if found is None:
            return await self._app(scope, receive, send)
        holds = found.value
        if holds == "tensors":
            holds = scope["app"].state.service.held_by(found.parameters["model"])
        scope["unroll.path"] = found.path  # counted by it: no route is looked for
        headers = dict(scope["headers"])
        query = scope["query_string"] if holds == "images" else b""  # of texts the options are in the body
        error = self._refusal(scope, steps_of(headers, holds), seconds_of(headers, query))
        if error is not None:
            return await refuse(headers, receive, send, error)
        ticket: Ticket = scope[TICKET]
        try:
            await self._app(scope, receive, send)
        finally:
            ticket.close()

    def _refusal(self, scope: Scope, steps: float, seconds: float) -> "Refusal | None":
        service = scope["app"].state.service
        if not service.client.view.any_started:  # later a request waits for the next engine instead
            service.metrics.refused("not-ready")
            return not_ready()
        ticket = None if self._admission.is_too_late(seconds) else self._admission.admit(1, steps)
        if ticket is None:
            service.metrics.refused("overloaded")
            return full(self._admission, self._admission.retry_after())
        scope[TICKET] = ticket
        return None


def seconds_of(headers: dict[bytes, bytes], query: bytes) -> float:
    """How long an answer is of use, as far as the head of a request tells."""
    in_query = _TIMEOUT.search(query)
    timeout = in_query[1] if in_query else headers.get(TIMEOUT_HEADER, b"")
    return int(timeout) / 1000 or math.inf if timeout.isdigit() else math.inf


def steps_of(headers: dict[bytes, bytes], holds: str) -> float:
    """Cell steps that a request is guessed to take, from its head alone."""
    if holds == "images":
        return IMAGE_STEPS
    length = headers.get(b"content-length", b"")
    return min(MOST_GUESSED_STEPS, int(length) / BYTES_PER_STEP) if length.isdigit() else UNKNOWN_STEPS


class Refusal:
    """An answer that is ready to be sent: an ASGI application that looks at nothing."""

    def __init__(self, error: UnrollError, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        kind = KINDS[type(error)]
        answer = problem_response(kind, error.detail, **error.facts)
        self.slug = kind.slug
        self.body: Message = {"type": "http.response.body", "body": answer.body}
        self.start: Message = {
            "type": "http.response.start",
            "status": answer.status_code,
            "headers": [*answer.raw_headers, *headers],
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        note_problem(self.slug)
        await send(self.start)
        await send(self.body)


@lru_cache(maxsize=256)
def full(admission: Admission, seconds: int) -> Refusal:
    return Refusal(overloaded(admission, seconds))


@lru_cache(maxsize=1)
def not_ready() -> Refusal:
    detail = "no engine is ready yet; send it again when /readyz answers 200"
    return Refusal(NotReady(detail, retry_after_seconds=_STARTING_RETRY))


async def refuse(headers: dict[bytes, bytes], receive: Receive, send: Send, refusal: Refusal) -> None:
    """Answer at once. A small body is the server's to throw away; a large one may still be coming, and its connection
    is closed after the answer, or when the client had a moment to see it."""
    length = headers.get(b"content-length", b"" if b"transfer-encoding" in headers else b"0")
    if length.isdigit() and int(length) <= _SMALL_BODY and b"expect" not in headers:
        await refusal({}, receive, send)
        return
    note_problem(refusal.slug)
    await send({**refusal.start, "headers": [*refusal.start["headers"], (b"connection", b"close")]})
    await send({**refusal.body, "more_body": True})
    await throw_away(receive)
    await send({"type": "http.response.body"})


async def throw_away(receive: Receive) -> None:
    """Read the rest of a body for a moment, for a client that sends all of it before it listens."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                pass
