"""HTTP on one connection: uvicorn's protocol, with limits of time and size, and refusals before the application runs.

A connection opens, reads a head and perhaps a body, and answers; then it waits for the next head. Each of these stages
has a time limit; `Connections` ends those that exceed it.
"""

import asyncio
import math
import time
from enum import Enum, auto
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.api.access.guard import CALLER
from app.api.refusals import LINGER_SECONDS, Refusal, is_small
from app.errors import MalformedRequest, RequestTooSlow, UnrollError
from app.request_context import context_of
from app.server.cycle import Cycle
from app.server.heads import complete_scope, head_too_large, without_upgrade
from app.server.limits import HEAD_BYTES, HEAD_FIELDS, LENGTH_DIGITS
from app.server.parts import ServerParts


class Stage(Enum):
    """What a connection does."""

    OPEN = auto()  # no byte of a head has come
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    CLOSING = auto()  # the last response is sent; what still comes is dropped


class _Refused:
    """Stands for the cycle of a request that was refused by its head."""

    response_complete = True
    message_event = asyncio.Event()


class HttpProtocol(HttpToolsProtocol):
    """One connection. Its stage began at `since` and must have ended at `due`, on the clock of the event loop."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        parts: ServerParts,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._parts = parts
        self._running: Cycle | None = None  # the cycle whose application runs; later ones are pipelined
        self._is_in_head = False
        self._unparsed = 0  # bytes since the parser delivered a part of a message
        self._head_bytes = self._head_fields = 0
        self._enter(Stage.OPEN, parts.limits.head_seconds)

    def _enter(self, stage: Stage, seconds: float = math.inf) -> None:
        self._stage = stage
        self.since = self.loop.time()
        self.due = self.since + seconds

    @property
    def is_idle(self) -> bool:
        """Whether no request is lost when it closes: none has arrived completely."""
        return self._stage in (Stage.OPEN, Stage.HEAD)

    def give_way(self) -> None:
        """Close an idle connection at once, for a new one. The set of connections loses it a turn of the loop later."""
        self._enter(Stage.CLOSING)
        self.transport.abort()

    @property
    def _is_free(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def expire(self) -> None:
        """Its stage takes too long."""
        limits = self._parts.limits
        match self._stage:
            case Stage.OPEN | Stage.CLOSING:
                self.transport.close()
            case Stage.HEAD:
                self._reject(RequestTooSlow(f"the head did not arrive within {limits.head_seconds:g} s; send it again"))
            case Stage.BODY:
                self._give_up(
                    cast(Cycle, self.cycle), f"the body did not arrive within {limits.body_seconds:g} s; send it faster"
                )
            case Stage.ANSWER:  # the client does not read
                self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        for cycle in (self._running, self.cycle, *(cycle for cycle, _ in self.pipeline)):
            self._end_body(cycle)
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True  # uvicorn notifies only the last request of a pipeline
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._stage is Stage.CLOSING:
            return
        self._unset_keepalive_if_required()
        if self._stage is Stage.OPEN:
            self._enter(Stage.HEAD, self._parts.limits.head_seconds)
        self._unparsed += len(data)
        try:
            self._feed(data)
            if self._unparsed > HEAD_BYTES:
                raise head_too_large()
        except httptools.HttpParserError as error:
            cause = error.__context__
            known = cause if isinstance(cause, UnrollError) else None
            self._reject(known or MalformedRequest(f"not an HTTP/1.1 request: {error}"))
        except UnrollError as error:
            self._reject(error)

    def _feed(self, data: bytes) -> None:
        """Parse. The parser believes that a request with `Upgrade` has no body, so the head of such a request is parsed
        once more without that header (RFC 9110, section 7.8: a server may ignore it)."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                method, version = self.parser.get_method(), self.parser.get_http_version()
                data = without_upgrade(method, self.url, version, self.headers) + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            else:
                return

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = self._head_fields = 0
        if self._stage is Stage.OPEN:
            self._enter(Stage.HEAD, self._parts.limits.head_seconds)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head, or of the trailer after a body."""
        self._head_bytes += len(name) + len(value) + 4
        self._head_fields += 1
        if self._head_bytes + len(self.url) > HEAD_BYTES or self._head_fields > HEAD_FIELDS:
            raise head_too_large()
        if len(value) > LENGTH_DIGITS and name.lower() == b"content-length":
            raise MalformedRequest(f"Content-Length has {len(value)} digits; send the number alone")
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unparsed = 0
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise MalformedRequest("CONNECT is not supported: this service is no proxy")
            return  # `_feed` parses the head once more
        self._is_in_head = False
        if self._stage is Stage.CLOSING:
            return
        version, method = self.parser.get_http_version(), self.parser.get_method()
        complete_scope(self.scope, method, self.url, version, self.root_path)
        is_free = self._is_free
        if is_free and (found := self._refusal()) is not None:
            self._refuse(*found)
            return
        cycle = self.cycle = self._new_cycle()
        if is_free:
            self._enter(Stage.BODY, self._parts.limits.body_seconds)
            self._running = cycle
            self._parts.turns.add(partial(self._start_asgi_task, cycle, self.app))
        else:  # pipelined: it waits for its turn
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def _new_cycle(self) -> Cycle:
        cycle = Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=self.scope["http_version"] != "1.0" and self.parser.should_keep_alive(),
            on_response=_nothing,
        )
        cycle.on_response = partial(self._answered, cycle)
        return cycle

    def on_chunk_header(self) -> None:
        self._unparsed = 0

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        cycle = cast(Cycle, self.cycle)
        if cycle.response_complete or cycle.failure is not None:
            return
        bodies = self._parts.bodies
        if cycle.arriving is None:
            caller = cast(Any, self.scope).get(CALLER)
            name = caller.name if caller is not None and caller.key is not None else ""
            cycle.arriving = bodies.begin(name, partial(self._give_up, cycle))
        bodies.receive(cycle.arriving, len(body))
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._unparsed = 0
        cycle = cast(Cycle, self.cycle)
        if self._is_in_head:
            return  # the parser takes a request with `Upgrade` for complete: see `_feed`
        if self._stage is Stage.CLOSING:
            self.transport.close()
            return
        if cycle.response_complete:
            self._enter(Stage.OPEN)  # uvicorn limits the time until the next request
            return
        if cycle.arriving is not None:
            self._parts.bodies.complete(cycle.arriving)
        cycle.more_body = False
        cycle.message_event.set()
        if self._stage is Stage.BODY:
            self._enter(Stage.ANSWER)

    def _answered(self, cycle: Cycle) -> None:
        """A response is complete."""
        self._end_body(cycle)
        if cycle is not self.cycle:
            following = self._running = cast(Cycle, self.pipeline[-1][0])
            self._enter(*((Stage.BODY, self._parts.limits.body_seconds) if following.more_body else (Stage.ANSWER,)))
        elif not cycle.more_body:
            self._enter(Stage.OPEN)
        self.on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.due == math.inf:
            self._enter(self._stage, self._parts.limits.body_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stage is Stage.ANSWER:
            self._enter(Stage.ANSWER)

    def _refusal(self) -> tuple[Refusal, Any] | None:
        """The refusal of a request to a task, and its match."""
        parts, scope = self._parts, cast(dict[str, Any], self.scope)
        if parts.with_cors and any(name == b"origin" for name, _ in self.headers):
            return None
        match = parts.check.task_of(scope)
        if match is None:
            return None
        refusal = parts.check.refusal(scope, match)
        return None if refusal is None else (refusal, match)

    def _refuse(self, refusal: Refusal, match: Any) -> None:
        """Answer without the application. A small body is discarded; before a large one ends, the connection closes."""
        began = time.monotonic()
        self.cycle = cast(Cycle, _Refused)
        headers = [*self.server_state.default_headers, *context_of(self.headers).headers(began)]
        keeps = is_small(dict(self.headers)) and self.scope["http_version"] == "1.1" and self.parser.should_keep_alive()
        if not keeps:
            headers.append((b"connection", b"close"))
        self.transport.write(self._parts.responses.refusal(refusal, match.route.error_members, headers))
        self._parts.report.note(match.route.path, refusal.start["status"], refusal.slug, time.monotonic() - began)
        if keeps:
            self._enter(Stage.BODY, self._parts.limits.body_seconds)
            self.on_response_complete()
        else:
            self._linger()

    def _give_up(self, cycle: Cycle, reason: str) -> None:
        """The body of a request comes too slowly."""
        if cycle.response_complete:
            self.transport.close()
        else:
            cycle.fail(RequestTooSlow(reason))
            self._enter(Stage.ANSWER, self._parts.limits.body_seconds)

    def _reject(self, error: UnrollError) -> None:
        """What arrived is no request. A request that is being answered is answered first."""
        cycle = cast(Cycle, self.cycle)
        if not self._is_free:
            if cycle.more_body:
                cycle.fail(error)
            cycle.keep_alive = False
            self._enter(Stage.CLOSING)
            return
        headers = [*self.server_state.default_headers, *context_of([]).headers(time.monotonic())]
        self.transport.write(self._parts.responses.problem(error, headers))
        refusal = Refusal(error)
        self._parts.report.note("other", refusal.start["status"], refusal.slug, 0.0)
        self._linger()

    def _linger(self) -> None:
        """Send no more, and drop what the client still sends for a moment: it would lose the response otherwise."""
        self.transport.write_eof()
        self._enter(Stage.CLOSING, LINGER_SECONDS)

    def _end_body(self, cycle: Any) -> None:
        arriving = getattr(cycle, "arriving", None)
        if arriving is not None:
            self._parts.bodies.end(arriving)
            cycle.arriving = None


def _nothing() -> None:
    """Until the cycle is complete."""
