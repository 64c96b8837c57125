"""The context of one HTTP request: what its log line, headers and spans need. Never its content.

The middleware `Observe` creates it when a request arrives and reports it at the end. Other modules add to it through
`REQUEST_CONTEXT`, which belongs to the tasks of the request.
"""

import random
import re
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple

_SANE_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/+=@~-]{0,127}")
_TRACEPARENT = re.compile(
    rb"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)


class ParentSpan(NamedTuple):
    """The client's span (W3C Trace Context, section 3.2): its trace, its id and its flags, in hexadecimal."""

    trace_id: str
    span_id: str
    flags: str


class Execution(NamedTuple):
    """One input on an engine: its version as `name/version`, the engine's instance, and `protocol.Times`."""

    model: str
    engine: str
    arrived: float
    started: float
    encoded: float
    first_token: float
    ended: float


@dataclass(slots=True)
class RequestContext:
    """One HTTP request. It `started` when it arrived, on the clock of `time.monotonic`, and `waited` for some seconds
    until the application began; `problem` is the kind of problem that answered it."""

    id: str
    started: float
    waited: float = 0.0
    parent: ParentSpan | None = None
    task: str | None = None
    inputs: int | None = None
    source_tokens: int | None = None
    emitted_tokens: int | None = None
    bytes_in: int | None = None
    bytes_out: int = 0
    problem: str | None = None
    has_first_token: bool = False  # it is streamed, and a first token was sent
    trace_id: str | None = None  # the client's, or that of the span made for this request
    models: dict[str, None] = field(default_factory=dict)  # versions used, in order
    executions: list[Execution] = field(default_factory=list)

    @property
    def engine_seconds(self) -> dict[str, float]:
        """Seconds in the queue, of encoding and of decoding, under their public names: the longest over all inputs."""
        longest = {"queue": -1.0, "consume": -1.0, "emit": -1.0}
        for _, _, arrived, started, encoded, first_token, ended in self.executions:
            if arrived and started > arrived + longest["queue"]:
                longest["queue"] = started - arrived
            if started and encoded > started + longest["consume"]:
                longest["consume"] = encoded - started
            if first_token and encoded and ended > encoded + longest["emit"]:
                longest["emit"] = ended - encoded
        return {name: seconds for name, seconds in longest.items() if seconds >= 0}

    @property
    def started_at(self) -> float | None:
        """When an engine began the first of its inputs, on the clock of `time.monotonic`."""
        return min((one.started for one in self.executions if one.started), default=None)

    @property
    def ended_at(self) -> float | None:
        """When an engine ended the last of its inputs, on the clock of `time.monotonic`."""
        return max((one.ended for one in self.executions), default=None)

    def headers(self, now: float) -> list[tuple[bytes, bytes]]:
        """Headers of its response, with the times known when it starts."""
        seconds = self.engine_seconds | {"total": now - self.started}
        timing = ", ".join(f"{name};dur={1000 * value:.2f}" for name, value in seconds.items())
        return [(b"x-request-id", self.id.encode()), (b"server-timing", timing.encode())]


ARRIVED = "unroll.arrived"  # key in an ASGI scope: when its head had come, or when its turn came in a pipeline
REQUEST_CONTEXT: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)


def note_problem(kind: str) -> None:
    """Note the kind of problem that answers the current request."""
    context = REQUEST_CONTEXT.get()
    if context is not None:
        context.problem = kind


def context_of(headers: list[tuple[bytes, bytes]], arrived: float | None = None) -> RequestContext:
    """The context of a request from its headers. It `arrived` at a time of `time.monotonic`, by default now."""
    now = time.monotonic()
    context = RequestContext("", now) if arrived is None else RequestContext("", arrived, max(0.0, now - arrived))
    for name, value in headers:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            context.id = value.decode()
        elif name == b"traceparent" and (match := _TRACEPARENT.fullmatch(value)):
            context.parent = ParentSpan(match[1].decode(), match[2].decode(), match[3].decode())
            context.trace_id = context.parent.trace_id
        elif name == b"content-length" and value.isdigit():
            context.bytes_in = int(value)
    context.id = context.id or f"{random.getrandbits(128):032x}"  # an identifier, not a secret
    return context
