"""The front end's side of the engines: submit a request, await its answer. Free of torch.

The client holds every unanswered request. When an engine dies, its requests go to another engine that is ready, or wait
for the next one: the caller sees a slower answer, not an error.
"""

import asyncio
import itertools
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import zmq
import zmq.asyncio
import zmq.utils.monitor

from app.engine.messages import (
    Cancel,
    Emitted,
    Event,
    Events,
    Failed,
    Hello,
    Message,
    Pixels,
    Scored,
    Status,
    Submit,
    Tokens,
    decode_to_front_end,
    encode,
)
from app.errors import EngineFailed

log = logging.getLogger("unroll.client")
_HELLO_SECONDS = 0.25  # between two questions for an engine's status
_MOST_ATTEMPTS = 3  # engines that may die under a request before it is given up


@dataclass(eq=False)
class _Link:
    """A connection to one engine. `status` is None while the engine is starting or gone."""

    socket: zmq.asyncio.Socket
    monitor: zmq.asyncio.Socket
    status: Status | None = None
    started: bool = False  # whether it has ever been ready
    load: int = 0


@dataclass(eq=False)
class _Pending:
    submit: Submit
    answer: asyncio.Future[Event]
    link: _Link | None = None
    attempts: int = 0


@dataclass(frozen=True)
class EngineView:
    """What is known of the engines together: statuses of those that are ready, how many there should be, what they
    loaded and what not, and whether any, and whether every one, has been ready at some time."""

    ready: tuple[Status, ...]
    count: int
    broken: dict[str, str] = field(default_factory=dict)
    models: frozenset[str] = frozenset()
    any_started: bool = False
    all_started: bool = False

    @property
    def is_ready(self) -> bool:
        """Every engine has loaded and warmed its models since the front end started, and one is there now."""
        return bool(self.ready) and self.all_started


class EngineClient:
    """Connects to every endpoint; a request goes to the ready engine with the least unanswered requests."""

    def __init__(self, endpoints: Sequence[str], context: zmq.Context[zmq.Socket[bytes]] | None = None) -> None:
        self._context = zmq.asyncio.Context(shadow=context) if context else zmq.asyncio.Context()
        self._owns_context = context is None
        self._links = [self._connect(endpoint) for endpoint in endpoints]
        self._ids = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.view = EngineView((), len(self._links))

    def _connect(self, endpoint: str) -> _Link:
        socket = self._context.socket(zmq.DEALER)
        socket.sndhwm = socket.rcvhwm = 0
        socket.linger = 0
        socket.immediate = True  # nothing is queued for an engine that is not there
        socket.reconnect_ivl = 50
        monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        socket.connect(endpoint)
        return _Link(socket, monitor)

    async def __aenter__(self) -> Self:
        for link in self._links:
            self._tasks += [
                asyncio.create_task(work) for work in (self._listen(link), self._greet(link), self._mourn(link))
            ]
        return self

    async def __aexit__(self, *exception: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self._links:
            link.socket.disable_monitor()
            link.monitor.close(0)
            link.socket.close(0)
        if self._owns_context:
            self._context.term()

    async def label(self, model: str, source: Tokens) -> list[float]:
        """The probability of each label. Cancelling the call cancels the request. Raises EngineFailed."""
        event = await self._answer(Submit(next(self._ids), model, source))
        assert isinstance(event, Scored)
        return event.scores

    async def sentence(self, model: str, source: Tokens | Pixels, *, max_tokens: int) -> Emitted:
        """The tokens emitted for a source. Cancelling the call cancels the request. Raises EngineFailed."""
        event = await self._answer(Submit(next(self._ids), model, source, max_tokens))
        assert isinstance(event, Emitted)
        return event

    @property
    def pending(self) -> int:
        """Requests not yet answered."""
        return len(self._pending)

    def _look(self) -> None:
        """Make `view` anew, after an engine said something or ended."""
        ready = tuple(link.status for link in self._links if link.status is not None)
        broken = {key: reason for status in ready for key, reason in status.broken.items()}
        models = frozenset(key for status in ready for key in status.models)
        started = [link.started for link in self._links]
        self.view = EngineView(ready, len(self._links), broken, models, any(started), all(started))

    async def _answer(self, submit: Submit) -> Event:
        pending = _Pending(submit, asyncio.get_running_loop().create_future())
        self._pending[submit.id] = pending
        self._dispatch(pending)
        try:
            event = await pending.answer
        finally:
            del self._pending[submit.id]
            if pending.link is not None:
                pending.link.load -= 1
                if not pending.answer.done() or pending.answer.cancelled():
                    self._send(pending.link, Cancel([submit.id]))
        if isinstance(event, Failed):
            raise EngineFailed(event.reason)
        return event

    def _dispatch(self, pending: _Pending) -> None:
        """Give a request to the least loaded ready engine; without one it waits for the next that gets ready."""
        ready = [link for link in self._links if link.status is not None]
        if not ready or pending.answer.done():
            return
        if pending.attempts == _MOST_ATTEMPTS:
            reason = f"{_MOST_ATTEMPTS} engines in turn ended while they ran this request; it is not tried again"
            pending.answer.set_result(Failed(pending.submit.id, reason))
            return
        link = min(ready, key=lambda link: link.load)
        pending.link = link
        pending.attempts += 1
        link.load += 1
        self._send(link, pending.submit)

    def _send(self, link: _Link, message: Message) -> None:
        with suppress(zmq.Again):  # the engine is gone; `_mourn` or the next instance takes care of what was for it
            sent = link.socket.send(encode(message), zmq.NOBLOCK)
            assert isinstance(sent, asyncio.Future)
            sent.result()  # done at once, as it may not block

    async def _listen(self, link: _Link) -> None:
        while True:
            message = decode_to_front_end(await link.socket.recv())
            if isinstance(message, Events):
                for event in message.events:
                    pending = self._pending.get(event.id)
                    if pending is not None and not pending.answer.done():
                        pending.answer.set_result(event)
            else:
                self._hear(link, message)

    def _hear(self, link: _Link, status: Status) -> None:
        known, link.status, link.started = link.status, status, True
        self._look()
        if known is not None and known.instance != status.instance:
            self._take_back(link)
        if known is None or known.instance != status.instance:
            for pending in [pending for pending in self._pending.values() if pending.link is None]:
                self._dispatch(pending)

    async def _greet(self, link: _Link) -> None:
        while True:
            self._send(link, Hello())
            await asyncio.sleep(_HELLO_SECONDS)

    async def _mourn(self, link: _Link) -> None:
        """When the connection breaks, the engine's requests go elsewhere."""
        while True:
            await link.monitor.recv_multipart()
            link.status = None
            self._look()
            for pending in self._take_back(link):
                self._dispatch(pending)

    def _take_back(self, link: _Link) -> list[_Pending]:
        orphans = [pending for pending in self._pending.values() if pending.link is link]
        if orphans:
            log.warning("an engine ended; %d requests are sent again", len(orphans))
        for pending in orphans:
            pending.link = None
        link.load = 0
        return orphans
