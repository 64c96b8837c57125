"""HTTP on one connection: uvicorn's protocol, with limits of time and size, and refusals before the application runs.

A connection opens, reads a head and perhaps a body, and answers; then it waits for the next head. Each of these stages
has a time limit; `Connections` ends those that exceed it.
"""

import asyncio
import time
from functools import partial
from typing import Any, assert_never, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.server import ServerState

from app.api.access.guard import CALLER
from app.api.pieces.opening import READ_PIECES
from app.api.refusals import LINGER_SECONDS, Refusal, is_small
from app.errors import Draining, MalformedRequest, RequestTooSlow, UnrollError
from app.request_context import ARRIVED, context_of
from app.server.bodies import Body
from app.server.cycle import Cycle
from app.server.heads import body_length, complete_scope, head_too_large, whole_head, without_upgrade
from app.server.intake import Intake
from app.server.limits import HEAD_BYTES, HEAD_FIELDS, LENGTH_DIGITS
from app.server.parts import ServerParts
from app.server.socket import SocketCycle, as_pieces, asks_for_socket
from app.server.stages import Stage, StagedConnection


class _Refused:
    """Stands for the cycle of a request that was refused by its head."""

    response_complete = True
    message_event = asyncio.Event()


class HttpProtocol(StagedConnection):
    """The requests of one connection."""

    cycle: Any  # the last request whose head has come: Cycle, _Refused or None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        parts: ServerParts,
    ) -> None:
        super().__init__(config, server_state, app_state, parts.limits)
        self._parts = parts
        self._running: Cycle | None = None  # the cycle whose application runs; later ones are pipelined
        self._is_in_head = False
        self._socket_head = b""  # of the request whose head is parsed once more, if it asks for a WebSocket
        self._will_parse = False
        self._unparsed = 0  # bytes since the parser delivered a part of a message
        self._head_bytes = self._head_fields = 0

    @property
    def is_idle(self) -> bool:
        """Whether no request and no answer is lost when it closes."""
        if self._stage is Stage.ANSWER or self.flow.has_bytes or self.transport.get_write_buffer_size():
            return False
        return (
            self._stage is not Stage.BODY
            or self._is_free
            or (not self.cycle.takes_pieces and not ((arriving := self.cycle.arriving) and arriving.received))
        )

    @property
    def _is_free(self) -> bool:
        return self.cycle is None or cast(bool, self.cycle.response_complete)

    @property
    def _may_parse(self) -> bool:
        """Bytes wait, and no request waits for the one before it."""
        return self.flow.has_bytes and not self.flow.is_blocked and not self.pipeline

    def expire(self) -> None:
        """Its stage takes too long."""
        if self._read_by <= self.loop.time():
            self.transport.abort()
            return
        match self._stage:
            case Stage.OPEN:
                self._close()
            case Stage.HEAD if self.cycle is not None and not self._is_in_head:  # empty lines after a request
                self._close()
            case Stage.HEAD:
                seconds = self._limits.head_seconds
                self._reject(RequestTooSlow(f"the head did not arrive within {seconds:g} s; send it again"))
            case Stage.BODY if not self._is_free and self.cycle.takes_pieces:
                seconds = self._limits.stream_seconds
                self._give_up(self.cycle, f"no piece arrived for {seconds:g} s; send one more often")
            case Stage.BODY:
                seconds = self._limits.body_seconds
                self._give_up(self.cycle, f"the body did not arrive within {seconds:g} s; send it faster")
            case Stage.CLOSING if self._is_ending and self.transport.get_write_buffer_size() < self._unsent:
                self._wait_for_reader()  # as long as the service waits
            case Stage.ANSWER | Stage.CLOSING:  # the client does not read
                self.transport.abort()
            case _:
                assert_never(self._stage)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Intake(transport, self._parse_soon)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_deaf = True
        self.flow.end()
        for cycle in (self._running, self.cycle, *(cycle for cycle, _ in self.pipeline)):
            self._end_body(cycle)
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True  # uvicorn notifies only the last request of a pipeline
            self._running.message_event.set()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The service ends: close when all is answered, also a request whose head has begun to come."""
        self._is_ending = True
        if self._is_free:
            if not self._is_in_head and not self.flow.has_bytes:
                self._close()
        else:
            self.cycle.keep_alive = False
            if self.cycle.takes_pieces and self.cycle.more_body:
                self.cycle.fail(Draining("the service is about to end; continue elsewhere from the last state"))
            if self.is_unread:
                self.pause_writing()

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        if self._stage is Stage.OPEN:
            self._enter(Stage.HEAD, self._limits.head_seconds)
        self.flow.add(data)
        if not self._will_parse:
            self._parse()

    def _parse_soon(self) -> None:
        if not self._will_parse:
            self._will_parse = True
            self._parts.parsing.add(self._go_on)

    def _go_on(self) -> None:
        self._will_parse = False
        if not (self._is_deaf or self.transport.is_closing()):
            self._parse()

    def _parse(self) -> None:
        """Parse what has arrived: one piece that may hold many parts of messages, and the rest in later turns of the
        loop."""
        flow, has_time = self.flow, True
        while self._may_parse and (has_time or flow.body_left):
            has_time = has_time and flow.body_left > 0
            self._parse_piece(flow.take())
        if self._may_parse:
            self._parse_soon()
        flow.steer()
        cycle = self.cycle
        if not self._is_free and cycle.more_body and cycle.arriving is not None:
            self._parts.bodies.make_room(cycle.arriving)

    def _parse_piece(self, piece: memoryview) -> None:
        if isinstance(self.cycle, SocketCycle) and not self._is_free:
            self._read_socket(self.cycle, piece)
            return
        self._unparsed += len(piece)
        try:
            self._feed(piece)
            if self._unparsed > HEAD_BYTES:
                raise head_too_large()
        except httptools.HttpParserError as error:
            cause = error.__context__
            if cause is not None and not isinstance(cause, UnrollError):  # of a callback: an error of ours
                self.logger.error("a request could not be read", exc_info=cause)
                self.transport.abort()
                return
            self._reject(cause or MalformedRequest(f"not an HTTP/1.1 request: {error}"))
        except UnrollError as error:
            self._reject(error)

    def _feed(self, data: bytes | memoryview) -> None:
        """Parse. The parser believes that a request with `Upgrade` has no body, so the head of such a request is parsed
        once more without that header (RFC 9110, section 7.8: a server may ignore it)."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                method, version = self.parser.get_method(), self.parser.get_http_version()
                head = without_upgrade(method, self.url, version, self.headers)
                if asks_for_socket(method, self.url, self.headers):
                    self._socket_head = whole_head(method, self.url, version, self.headers)
                data = head + bytes(data[upgrade.args[0] :])
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            else:
                return

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = self._head_fields = 0
        if self._stage is Stage.OPEN:
            self._enter(Stage.HEAD, self._limits.head_seconds)

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
        if self._is_deaf:
            return
        version, method = self.parser.get_http_version(), self.parser.get_method()
        complete_scope(self.scope, method, self.url, version, self.root_path)
        length = body_length(self.headers)
        self.flow.body_left = length or 0
        is_free = self._is_free
        socket_head, self._socket_head = self._socket_head, b""
        if socket_head:
            if length != 0 or not is_free:
                raise MalformedRequest("a WebSocket begins with a request without a body, after earlier answers")
            as_pieces(cast(dict[str, Any], self.scope))
        if is_free and (found := self._refusal()) is not None:
            self._refuse(*found)
            return
        cycle = self._new_cycle(SocketCycle if socket_head else Cycle)
        if isinstance(cycle, SocketCycle):
            cycle.prepare(socket_head, self._limits.piece_bytes)
        self.cycle = cycle
        if self.scope["path"].endswith(READ_PIECES.path):  # the application decides at once whether it reads a body
            cast(dict[str, Any], self.scope)[READ_PIECES.key] = partial(self._read_pieces, cycle)
        elif length != 0:
            cycle.arriving = self._announced(cycle)
        if is_free:
            _arrive(cycle)
            self._enter(Stage.BODY, self._limits.body_seconds)
            self._running = cycle
            self._parts.turns.add(partial(self._start_asgi_task, cycle, self.app))
        else:  # pipelined: it waits for its turn
            self.pipeline.appendleft((cycle, self.app))

    def _announced(self, cycle: Cycle) -> Body:
        give_up, bodies = partial(self._give_up, cycle), self._parts.bodies
        caller = cast(dict[str, Any], self.scope).get(CALLER)
        if caller is not None and caller.key is not None:
            return bodies.begin(give_up, caller.name, has_key=True)
        return bodies.begin(give_up, self.client[0] if self.client else "")

    def _new_cycle(self, kind: type[Cycle]) -> Cycle:
        cycle = kind(
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

    def _read_pieces(self, cycle: Cycle) -> None:
        """The application reads a body that comes piece by piece: it counts as no body that must arrive."""
        if isinstance(cycle, SocketCycle):
            cycle.open()
        cycle.takes_pieces = True
        if self._stage is Stage.BODY:
            self._enter(Stage.BODY, self._limits.stream_seconds)
        if self._is_ending:
            self.shutdown()

    def _read_socket(self, cycle: SocketCycle, piece: memoryview) -> None:
        if not cycle.is_open:  # the client did not wait for the handshake
            self.transport.abort()
            return
        if cycle.read(bytes(piece)):
            self._enter(Stage.BODY, self._limits.stream_seconds)
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
        if cycle.disconnected:
            self._linger()

    def on_chunk_header(self) -> None:
        self._unparsed = 0

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        self.flow.body_left = max(0, self.flow.body_left - len(body))
        cycle = self.cycle
        if self._is_deaf or cycle.response_complete or cycle.failure is not None:
            return
        if cycle.takes_pieces:
            if self._stage is Stage.BODY:
                self._enter(Stage.BODY, self._limits.stream_seconds)
        elif cycle.arriving is not None and not cycle.response_started:  # else the application discards it
            self._parts.bodies.receive(cycle.arriving, len(body))
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._unparsed = 0
        if self._is_in_head:
            return  # the parser takes a request with `Upgrade` for complete: see `_feed`
        if self._is_deaf:
            if self._stage is Stage.CLOSING:
                self.transport.close()
            return
        cycle = self.cycle
        if isinstance(cycle, SocketCycle):
            return
        if cycle.response_complete:
            self._enter(Stage.OPEN, self._limits.idle_seconds)
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
        cast(dict[str, Any], cycle.scope).pop(READ_PIECES.key, None)
        self.server_state.total_requests += 1
        if isinstance(cycle, SocketCycle) and not self.transport.is_closing():
            self._linger()
        elif self.transport.is_closing():
            self._ignore_the_rest()
            self._wait_for_reader()
        elif self.pipeline:
            following, app = cast(tuple[Cycle, Any], self.pipeline.pop())
            self._running = following
            if following.arriving is not None:
                self._parts.bodies.resume(following.arriving)
            _arrive(following)  # until now it waited for other requests of its client
            self._enter(*((Stage.BODY, self._limits.body_seconds) if following.more_body else (Stage.ANSWER,)))
            self._start_asgi_task(following, app)
        elif cycle.more_body:
            self._enter(Stage.BODY, LINGER_SECONDS)
        elif self._is_in_head:
            self._enter(Stage.HEAD, self._limits.head_seconds)
        else:
            self._enter(Stage.OPEN, self._limits.idle_seconds)
        self.flow.resume_reading()
        if self._may_parse:
            self._parse_soon()

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
        self.cycle = _Refused
        headers = [*self.server_state.default_headers, *context_of(self.headers).headers(began)]
        keeps = is_small(dict(self.headers)) and self.scope["http_version"] == "1.1" and self.parser.should_keep_alive()
        keeps = keeps and not self._is_ending
        if not keeps:
            headers.append((b"connection", b"close"))
        self.transport.write(self._parts.responses.refusal(refusal, match.route.error_members, headers))
        self._parts.report.note(match.route.path, refusal.start["status"], refusal.slug, time.monotonic() - began)
        if keeps:
            self.server_state.total_requests += 1
            self._enter(Stage.BODY, LINGER_SECONDS)
        else:
            self._linger()

    def _give_up(self, cycle: Any, reason: str) -> None:
        """The body of a request comes too slowly."""
        if cycle.response_complete:
            self._close()
            return
        self._end_body(cycle)
        cycle.fail(RequestTooSlow(reason))
        if cycle is self._running:
            self._enter(Stage.ANSWER, self._limits.body_seconds)

    def _reject(self, error: UnrollError) -> None:
        """What arrived is no request. A request that is being answered is answered first."""
        if self._is_deaf:
            return
        if not self._is_free:
            if self.cycle.more_body:
                self.cycle.fail(error)
            self.cycle.keep_alive = False
            self._ignore_the_rest()
            return
        headers = [*self.server_state.default_headers, *context_of([]).headers(time.monotonic())]
        self.transport.write(self._parts.responses.problem(error, headers))
        refusal = Refusal(error)
        self._parts.report.note("other", refusal.start["status"], refusal.slug, 0.0)
        self._linger()

    def _end_body(self, cycle: Any) -> None:
        arriving = getattr(cycle, "arriving", None)
        if arriving is not None:
            self._parts.bodies.end(arriving)
            cycle.arriving = None


def _arrive(cycle: Cycle) -> None:
    cast(dict[str, Any], cycle.scope)[ARRIVED] = time.monotonic()


def _nothing() -> None:
    """Until the cycle is complete."""
