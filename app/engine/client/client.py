"""The front end's side of the engines: submit a request, await its answer. Free of torch.

The client holds every unanswered request. When an engine dies, its requests go to another engine that is ready, or wait
for the next one: the caller sees a slower answer, not an error. Which of them killed it cannot be known, so all that it
had are suspects: each is sent again to run alone, and one under which an engine dies once more is refused.

Sockets are plain ZeroMQ sockets, whose file descriptor the event loop watches, and nothing here is a task: a request
costs one send, one future, and a share of one receive.
"""

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import msgspec
import zmq

from app.engine.protocol import (
    IMAGE_STEPS,
    Cancel,
    Change,
    Emit,
    Emitted,
    Event,
    Events,
    Explain,
    Failed,
    Hello,
    Load,
    Loaded,
    Message,
    NotLoaded,
    Pixels,
    Progress,
    Scored,
    Started,
    Status,
    Submit,
    Terms,
    Times,
    Tokens,
    Unload,
    decode_to_front_end,
    encode,
)
from app.errors import EngineFailed, LoadFailed, ModelUnavailable, NotReady, TimedOut
from app.request_context import RECORD, Run

log = logging.getLogger("unroll.client")
HELLO_SECONDS = 0.25  # between two questions for an engine's status
FIRST_HELLO_SECONDS = 0.05  # until each has answered one
_CAPTION_TOKENS = 20  # that one counts on for an image
_POLLIN = int(zmq.POLLIN)  # an enumeration's own arithmetic is slow
_MOST_TRIES = 6  # engines that a request is sent to before it is given up, whoever is to blame
_SETTLE_SECONDS = 2.0  # in which all front ends know what an engine that was just started should have
_GRACE_SECONDS = 0.5  # in which an engine may say itself that a deadline has passed


@dataclass(frozen=True)
class EngineView:
    """What is known of the engines together: statuses of those that are ready, how many there should be, what they
    loaded and what not, the number types of each model, and whether any, and whether every one, has been ready at some
    time. `places` are the numbers of those that are ready."""

    ready: tuple[Status, ...]
    count: int
    broken: dict[str, str] = field(default_factory=dict)
    models: frozenset[str] = frozenset()
    precisions: dict[str, str] = field(default_factory=dict)
    any_started: bool = False
    all_started: bool = False
    places: tuple[int, ...] = ()

    @property
    def restarts(self) -> int:
        """How often the engines that are ready were started again."""
        return sum(int(status.counters.get("restarts", 0)) for status in self.ready)

    @property
    def is_ready(self) -> bool:
        """Every engine has loaded and warmed its models since the front end started, and one is there now."""
        return bool(self.ready) and self.all_started


class _Call:
    """A request that is not answered. Without a link it waits for an engine."""

    __slots__ = ("answer", "cost", "ended", "link", "original", "record", "started", "submit", "suspect", "tries")

    def __init__(self, submit: Submit, answer: asyncio.Future[Event]) -> None:
        self.original = self.submit = submit
        self.answer = answer
        self.cost = _cost(submit)
        self.record = RECORD.get()  # of the HTTP request that it belongs to
        if self.record is not None:
            self.record.models[submit.model] = None
        self.link: _Link | None = None
        self.suspect = False  # an engine died while it had this request
        self.started = False  # it is being run alone now
        self.ended = False  # its last event has come
        self.tries = 0

    def take(self, event: Event) -> None:
        self.ended = True
        if not self.answer.done():
            self.answer.set_result(event)

    def resume(self) -> None:
        """Make `submit` what the next engine has to do."""


class _Stream(_Call):
    """A request whose tokens are told as they come. After an engine's death the next one is forced to emit what was
    delivered once more, and that is skipped, so that the reader sees one unbroken stream."""

    __slots__ = ("arrived", "delivered", "events", "skip")

    def __init__(self, submit: Submit, arrived: asyncio.Future[Event]) -> None:
        super().__init__(submit, arrived)
        self.events: deque[Event] = deque()
        self.delivered: list[int] = []
        self.skip = 0  # tokens that were delivered and come again

    def take(self, event: Event) -> None:
        if isinstance(event, Progress):
            fresh = self._unseen(event)
            if fresh is None:
                return
            event = fresh
        self.ended = not isinstance(event, Progress)
        self.events.append(event)
        if not self.answer.done():
            self.answer.set_result(event)

    def _unseen(self, progress: Progress) -> Event | None:
        """What of it is new, if anything."""
        again = min(self.skip, len(progress.tokens))
        if again:
            since = len(self.delivered) - self.skip
            if progress.tokens[:again] != self.delivered[since : since + again]:
                return Failed(progress.id, "an engine ended, and the next one did not go on with the same tokens")
            self.skip -= again
            if again == len(progress.tokens) == len(progress.log_probs):
                return None
            progress = Progress(
                progress.id,
                progress.tokens[again:],
                progress.log_probs[again:],
                progress.alternatives[again:],
                progress.attention[again:],
            )
        self.delivered += progress.tokens
        return progress

    def resume(self) -> None:
        emit = self.original.emit
        assert emit is not None
        prefix = max(emit.prefix, self.delivered, key=len)  # one begins with the other: a prefix is emitted, too
        self.submit = msgspec.structs.replace(self.submit, emit=msgspec.structs.replace(emit, prefix=prefix))
        self.skip = len(self.delivered)


@dataclass(eq=False)
class _Link:
    """A connection to one engine. `status` is None while the engine is starting or gone.

    `load` is the work of this front end that it has not answered, in cell steps, `foreign` what others gave it. It has
    at most one `suspect`.
    """

    endpoint: str
    socket: zmq.Socket[bytes]
    monitor: zmq.Socket[bytes]
    status: Status | None = None
    models: frozenset[str] = frozenset()
    changes: "dict[str, asyncio.Future[Change]]" = field(default_factory=dict)  # asked for, by `name/version`
    instance: str = ""
    since: float = 0.0  # when this instance was first heard of
    is_new: bool = True  # it may have versions that are wanted no more
    load: float = 0.0
    foreign: float = 0.0
    last_send: int = 0
    suspect: _Call | None = None
    look_is_due: bool = False


class EngineClient:
    """Connects to every endpoint; a request goes to the ready engine with the least work that has its model.

    `on_ready` is called once, when every engine has loaded its models.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
        *,
        on_ready: Callable[[EngineView], None] | None = None,
    ) -> None:
        self._context = context or zmq.Context()
        self._owns_context = context is None
        self._on_ready = on_ready
        self._links = [self._connect(endpoint) for endpoint in endpoints]
        self._ready: list[_Link] = []
        self._ids, self._sends = itertools.count(1), itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._waiting: dict[int, _Call] = {}
        self._loop: asyncio.AbstractEventLoop
        self._timer: asyncio.TimerHandle | None = None
        self._greeted = asyncio.Event()
        self._wanted: Mapping[str, str] | None = None  # None: whatever the engines have
        self.view = EngineView((), len(self._links))

    def _connect(self, endpoint: str) -> _Link:
        socket = self._context.socket(zmq.DEALER)
        socket.sndhwm = socket.rcvhwm = 0
        socket.linger = 0
        socket.immediate = True  # nothing is queued for an engine that is not there
        socket.reconnect_ivl = 50
        monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        socket.connect(endpoint)
        return _Link(endpoint, socket, monitor)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        for link in self._links:
            self._loop.add_reader(link.socket.fileno(), self._listen, link)
            self._loop.add_reader(link.monitor.fileno(), self._mourn, link)
            self._mourn(link)
        self._tick()
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for link in self._links:
            self._loop.remove_reader(link.socket.fileno())
            self._loop.remove_reader(link.monitor.fileno())
            link.socket.disable_monitor()
            link.monitor.close(0)
            link.socket.close(0)
        self._ready = []
        for call in self._calls.values():
            call.link = None
            call.take(Failed(call.submit.id, "the service is ending"))
        if self._owns_context:
            self._context.term()

    @property
    def pending(self) -> int:
        """Requests not yet answered."""
        return len(self._calls)

    async def greeted(self, seconds: float) -> None:
        """Wait until an engine is ready, but for `seconds` at most."""
        if self._links:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._greeted.wait(), seconds)

    async def label(self, model: str, source: Tokens, terms: Terms, explain: Explain | None = None) -> Scored:
        """The probability of each label. Cancelling the call cancels the request. Raises EngineFailed,
        ModelUnavailable, TimedOut."""
        event = await self._answer(Submit(next(self._ids), model, source, None, terms, explain=explain))
        assert isinstance(event, Scored)
        return event

    async def sentence(self, model: str, source: Tokens | Pixels, emit: Emit, terms: Terms) -> Emitted:
        """The sentences emitted for a source. Cancelling the call cancels the request. Raises as `label` does."""
        event = await self._answer(Submit(next(self._ids), model, source, emit, terms))
        assert isinstance(event, Emitted)
        return event

    async def stream(
        self, model: str, source: Tokens | Pixels, emit: Emit, terms: Terms
    ) -> AsyncGenerator[Progress | Emitted, None]:
        """What is emitted, as it comes; Emitted is the last. Closing it cancels the request. Raises EngineFailed,
        ModelUnavailable, TimedOut."""
        emit = msgspec.structs.replace(emit, stream=True)
        call = _Stream(Submit(next(self._ids), model, source, emit, terms), self._loop.create_future())
        self._open(call)
        try:
            while True:
                await call.answer
                call.answer = self._loop.create_future()
                while call.events:
                    event = _checked(call.events.popleft())
                    assert isinstance(event, Progress | Emitted)
                    yield event
                    if isinstance(event, Emitted):
                        return
        finally:
            self._close(call)

    def want(self, versions: Mapping[str, str]) -> None:
        """Folders of the versions that each engine should have, by `name/version`. One that lacks some, as it was
        started meanwhile, is told to load them."""
        self._wanted = versions
        for link in self._ready:
            self._send(link, Hello())

    async def load(self, model: str, folder: str) -> None:
        """Load a version into every ready engine, one after another, so that the others serve undisturbed. Raises
        NotReady or LoadFailed; then some may have it, and some not."""
        ready = list(self._ready)
        if not ready:
            raise NotReady("no engine is ready to load it; try again in a moment")
        for link in ready:
            answer = await self._change(link, Load(model, folder), model)
            if isinstance(answer, NotLoaded):
                raise LoadFailed(f"{model} cannot be loaded: {answer.reason}", model=model)

    async def unload(self, model: str, *, linger: float) -> None:
        """Let every engine go of a version. Returns when what runs of it has ended."""
        asked = [self._change(link, Unload(model, linger), model) for link in self._ready]
        await asyncio.gather(*asked)

    async def _change(self, link: _Link, message: Load | Unload, model: str) -> Change:
        answer = link.changes.get(model)
        if answer is None or answer.done():
            answer = link.changes[model] = self._loop.create_future()
        self._send(link, message)
        try:
            return await answer
        finally:
            if link.changes.get(model) is answer:
                del link.changes[model]

    async def _answer(self, submit: Submit) -> Event:
        call = _Call(submit, self._loop.create_future())
        self._open(call)
        try:
            return _checked(await call.answer)
        finally:
            self._close(call)

    def _open(self, call: _Call) -> None:
        self._calls[call.submit.id] = call
        self._dispatch(call)

    def _close(self, call: _Call) -> None:
        """Forget a call. An engine that still has it is told."""
        del self._calls[call.submit.id]
        self._waiting.pop(call.submit.id, None)
        if call.link is not None:
            self._send(call.link, Cancel([call.submit.id]))
            self._leave(call.link, call)

    def _leave(self, link: _Link, call: _Call) -> None:
        call.link = None
        link.load -= call.cost
        if link.suspect is call:
            link.suspect = None
            self._dispatch_waiting()

    def _dispatch(self, call: _Call) -> None:
        """Send a request to the ready engine with the least work that has its model; without one it waits. So do
        suspects while each engine has one."""
        best: _Link | None = None
        model = call.submit.model
        for link in self._ready:
            if (
                model in link.models
                and (not call.suspect or link.suspect is None)
                and (best is None or _before(link, best))
            ):
                best = link
        if best is None:
            if self._is_gone(model):
                self._waiting.pop(call.submit.id, None)
                reason = f"{model} was unloaded before it was reached; send it again, or choose another version"
                call.take(Failed(call.submit.id, reason, gone=True))
            else:
                self._waiting[call.submit.id] = call
            return
        self._waiting.pop(call.submit.id, None)
        call.link = best
        call.tries += 1
        best.load += call.cost
        best.last_send = next(self._sends)
        if call.suspect:
            best.suspect = call
        self._send(best, call.submit)

    def _is_gone(self, model: str) -> bool:
        """Whether no engine has a model, or will have it soon."""
        return (
            len(self._ready) == len(self._links) > 0
            and model not in (self._wanted or ())
            and not any(model in link.models for link in self._links)
        )

    def _dispatch_waiting(self) -> None:
        for call in list(self._waiting.values()):
            self._dispatch(call)

    def _send(self, link: _Link, message: Message) -> None:
        with suppress(zmq.Again):  # the engine is gone; `_mourn` or the next instance takes care of what was for it
            link.socket.send(encode(message), zmq.NOBLOCK)
        if not link.look_is_due:  # a send may swallow the signal that something has come
            link.look_is_due = True
            self._loop.call_soon(self._look_again, link)

    def _look_again(self, link: _Link) -> None:
        link.look_is_due = False
        if not link.socket.closed:
            self._listen(link)

    def _listen(self, link: _Link) -> None:
        """Read all that has come. The descriptor tells of a change, not of a message (ZMQ_FD in zmq_getsockopt(3))."""
        socket = link.socket
        while _readable(socket):
            message = decode_to_front_end(socket.recv(zmq.NOBLOCK))
            if isinstance(message, Events):
                self._note(link, message.times)
                self._take(link, message.events)
            elif isinstance(message, Status):
                self._hear(link, message)
            else:
                self._changed(link, message)

    def _note(self, link: _Link, times: list[Times]) -> None:
        for one in times:
            call = self._calls.get(one.id)
            if call is not None and call.link is link and call.record is not None:
                call.record.runs.append(Run(call.submit.model, link.instance, one))

    def _take(self, link: _Link, events: list[Event]) -> None:
        calls = self._calls
        for event in events:
            call = calls.get(event.id)
            if call is None or call.link is not link:
                continue
            if isinstance(event, Started):
                call.started = True
                continue
            call.take(event)
            if not isinstance(event, Progress):
                self._leave(link, call)

    def _changed(self, link: _Link, change: Change) -> None:
        model = change.model
        if link.status is not None and not isinstance(change, NotLoaded):  # it will say so itself, but later
            models = set(link.status.models) - {model} | ({model} if isinstance(change, Loaded) else set())
            broken = {key: reason for key, reason in link.status.broken.items() if key != model}
            link.status = msgspec.structs.replace(link.status, models=sorted(models), broken=broken)
            link.models = frozenset(models)
            self._look()
            self._dispatch_waiting()
        answer = link.changes.get(model)
        if answer is not None and not answer.done():
            answer.set_result(change)

    def _mend(self, link: _Link, status: Status) -> None:
        """An engine that was started anew while versions were loaded or unloaded has others than it should."""
        if self._wanted is None:
            return
        for model in self._wanted.keys() - link.models - status.broken.keys() - link.changes.keys():
            self._send(link, Load(model, self._wanted[model]))
        if link.is_new and time.monotonic() > link.since + _SETTLE_SECONDS:
            link.is_new = False
            for model in link.models - self._wanted.keys() - link.changes.keys():
                self._send(link, Unload(model, _SETTLE_SECONDS))

    def _hear(self, link: _Link, status: Status) -> None:
        link.status = status
        if link.models != set(status.models):
            link.models = frozenset(status.models)
        link.foreign = max(0.0, status.gauges.get("pending_steps", 0.0) - link.load)
        if link.instance != status.instance:
            if link.instance:
                self._take_back(link)
            link.instance, link.since, link.is_new = status.instance, time.monotonic(), True
        self._greeted.set()
        if link not in self._ready:
            self._ready.append(link)
        self._look()
        self._mend(link, status)
        if self._waiting:
            self._dispatch_waiting()

    def _mourn(self, link: _Link) -> None:
        """When the connection breaks, the engine's requests go elsewhere."""
        while _readable(link.monitor):
            link.monitor.recv_multipart(zmq.NOBLOCK)
            self._listen(link)  # what it said before it ended
            link.status = None
            if link in self._ready:
                self._ready.remove(link)
            self._look()
            self._take_back(link)
            self._dispatch_waiting()

    def _take_back(self, link: _Link) -> None:
        """All requests of an engine that ended wait for another one, or are refused."""
        orphans = [call for call in self._calls.values() if call.link is link]
        culprit = link.suspect if link.suspect is not None and link.suspect.started else None
        link.suspect, link.load, link.foreign = None, 0.0, 0.0
        for model, answer in link.changes.items():
            if not answer.done():
                answer.set_result(NotLoaded(model, "an engine ended while it was being loaded"))
        if orphans:
            log.warning("an engine ended; %d requests are sent again", len(orphans))
        for call in orphans:
            call.link = None
            call.started = False
            if call is culprit:
                log.error("two engines in turn ended under one request of %s; it is refused", call.submit.model)
                reason = "two engines in turn ended while they ran this request; it is not tried a third time"
                call.take(Failed(call.submit.id, reason))
            elif call.tries == _MOST_TRIES:
                reason = f"{_MOST_TRIES} engines in turn ended while they had this request; it is not sent again"
                call.take(Failed(call.submit.id, reason))
            else:
                if culprit is None and not call.suspect:  # it may have been run
                    call.suspect = True
                    call.submit = msgspec.structs.replace(call.submit, alone=True)
                call.resume()
                self._waiting[call.submit.id] = call

    def _look(self) -> None:
        """Make `view` anew, after an engine said something or ended."""
        ready = tuple(link.status for link in self._links if link.status is not None)
        started = [bool(link.instance) for link in self._links]
        self.view = EngineView(
            ready,
            len(self._links),
            {key: reason for status in ready for key, reason in status.broken.items()},
            frozenset(key for status in ready for key in status.models),
            {key: words for status in ready for key, words in status.precisions.items()},
            any(started),
            all(started),
            tuple(place for place, link in enumerate(self._links) if link.status is not None),
        )
        if self._on_ready is not None and self.view.is_ready:
            on_ready, self._on_ready = self._on_ready, None
            on_ready(self.view)

    def _tick(self) -> None:
        """Ask how the engines fare, and end what is long past its deadline, as no engine may be there to say so."""
        for link in self._links:
            self._send(link, Hello())
        late = time.monotonic() - _GRACE_SECONDS
        for call in self._calls.values():
            deadline = call.submit.terms.deadline
            if deadline is not None and deadline < late and not call.ended:
                call.take(Failed(call.submit.id, "no engine was free in time", expired=True))
        self._timer = self._loop.call_later(HELLO_SECONDS if self.view.all_started else FIRST_HELLO_SECONDS, self._tick)


def _readable(socket: zmq.Socket[bytes]) -> bool:
    events = socket.getsockopt(zmq.EVENTS)
    assert isinstance(events, int)
    return bool(events & _POLLIN)


def _cost(submit: Submit) -> float:
    """Work of a request in cell steps, counted as engines do: most sentences end long before `max_tokens`."""
    if isinstance(submit.source, Tokens):
        source = len(submit.source.ids)
        likely = 2 * source + 8
    else:
        source, likely = IMAGE_STEPS, _CAPTION_TOKENS
    return source + (min(submit.emit.max_tokens, likely) * submit.emit.beams if submit.emit else 0)


def _before(link: _Link, other: _Link) -> bool:
    """Less work goes first, then the one that was given some last: its weights are still in the caches."""
    mine, others = link.load + link.foreign, other.load + other.foreign
    return mine < others or (mine == others and link.last_send > other.last_send)


def _checked(event: Event) -> Event:
    if isinstance(event, Failed):
        kind = TimedOut if event.expired else ModelUnavailable if event.gone else EngineFailed
        raise kind(event.reason)
    return event
