"""What is noted of one HTTP request on its way, for its log line, its headers and its spans. Never what is in it.

`Observe` makes it when a request comes and tells of it at the end; whoever knows something of the request on the way
notes it in `RECORD`, which belongs to the request's tasks.
"""

import random
import re
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple

from app.engine.protocol import Times

_SANE_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/+=@~-]{0,127}")
_TRACEPARENT = re.compile(
    rb"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)


class Caller(NamedTuple):
    """The span of the caller (W3C Trace Context, section 3.2): its trace, itself and its flags, in hexadecimal."""

    trace_id: str
    span_id: str
    flags: str


class Run(NamedTuple):
    """What an engine did for one input: its version as `name/version`, the engine's instance, and when."""

    model: str
    engine: str
    times: Times


@dataclass(slots=True)
class Record:
    """One HTTP request. `started` is on the clock of `time.monotonic`; `problem` is the kind of problem that it ended
    in.
    """

    id: str
    started: float
    caller: Caller | None = None
    task: str | None = None
    inputs: int | None = None
    source_tokens: int | None = None
    emitted_tokens: int | None = None
    bytes_in: int | None = None
    bytes_out: int = 0
    problem: str | None = None
    has_told: bool = False  # a first token, to whoever wants it streamed
    trace_id: str | None = None  # the caller's, or that of a span that was made for the request
    models: dict[str, None] = field(default_factory=dict)  # versions that were asked, in order
    runs: list[Run] = field(default_factory=list)

    @property
    def engine_seconds(self) -> dict[str, float]:
        """How long its inputs waited, were consumed and emitted: of several, the longest of each."""
        found: dict[str, float] = {}
        for _, _, times in self.runs:
            _longest(found, "queue", times.arrived, times.begun)
            _longest(found, "consume", times.begun, times.consumed)
            if times.told:
                _longest(found, "emit", times.consumed, times.ended)
        return found

    def head(self, now: float) -> list[tuple[bytes, bytes]]:
        """Headers of its answer: what is known when that begins."""
        seconds = self.engine_seconds | {"total": now - self.started}
        timing = ", ".join(f"{name};dur={1000 * value:.2f}" for name, value in seconds.items())
        return [(b"x-request-id", self.id.encode()), (b"server-timing", timing.encode())]


RECORD: ContextVar[Record | None] = ContextVar("record", default=None)


def note_problem(kind: str) -> None:
    """The request that is being answered ends in a problem of this kind."""
    record = RECORD.get()
    if record is not None:
        record.problem = kind


def begun(headers: list[tuple[bytes, bytes]]) -> Record:
    """The record of a request that has just come, from its headers."""
    record = Record("", time.monotonic())
    for name, value in headers:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            record.id = value.decode()
        elif name == b"traceparent" and (found := _TRACEPARENT.fullmatch(value)):
            record.caller = Caller(found[1].decode(), found[2].decode(), found[3].decode())
            record.trace_id = record.caller.trace_id
        elif name == b"content-length" and value.isdigit():
            record.bytes_in = int(value)
    record.id = record.id or f"{random.getrandbits(128):032x}"  # names it, and keeps no secret
    return record


def _longest(found: dict[str, float], name: str, begin: float, end: float) -> None:
    if begin and end:
        found[name] = max(found.get(name, 0.0), end - begin)
