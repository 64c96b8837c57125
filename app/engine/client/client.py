"""The engine client: submit a request, await its answer."""

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, Self, cast, overload

import msgspec
import zmq

from app.engine.client.calls import Call, Group, GroupCall, StreamCall, answer_in
from app.engine.client.connection import Connection
from app.engine.client.dispatch import Dispatch
from app.engine.client.versions import EngineVersions
from app.engine.client.view import EngineView, view_of
from app.engine.protocol import (
    Answer,
    AnswerSpec,
    Carry,
    Decode,
    Decoded,
    Embed,
    Embedded,
    Events,
    Forecast,
    Forecasted,
    Hello,
    Label,
    Labelled,
    Part,
    Progress,
    Source,
    Status,
    Submit,
    Tag,
    Tagged,
    Terms,
    ToFrontEnd,
    Values,
)

HELLO_SECONDS = 0.25  # between two requests for an engine's status
FIRST_HELLO_SECONDS = 0.05  # until every engine has answered one
_AT_ONCE = 32  # requests that are sent in one turn of the event loop
_WAITING_SECONDS = 0.05  # between two looks at calls that wait


class Asked(NamedTuple):
    """A source of which the answer is wanted: see `EngineClient.answer`."""

    model: str
    source: Source
    answer: AnswerSpec
    cost: int
    carry: Carry | None


class EngineClient:
    """Connects to every endpoint and submits requests. `on_ready` is called once, when every engine has been
    ready. `set_endpoints` changes the engines while requests run. `key` is their public CURVE key, if they have one."""

    def __init__(
        self,
        endpoints: Sequence[str],
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
        *,
        on_ready: Callable[[EngineView], None] | None = None,
        key: bytes | None = None,
    ) -> None:
        self._context = context or zmq.Context()
        self._owns_context = context is None
        self._on_ready = on_ready
        self._key = key
        self._connections: list[Connection] = []
        self._versions = EngineVersions()
        self._dispatch = Dispatch(self._versions)
        for endpoint in endpoints:
            self._connect(endpoint)
        self._ids = itertools.count(1)
        self._loop: asyncio.AbstractEventLoop
        self._timer: asyncio.TimerHandle | None = None
        self._has_status = asyncio.Event()
        self.view = EngineView((), len(self._connections))

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        for connection in self._connections:
            connection.open(self._take, self._end)
        self._tick()
        return self

    def set_endpoints(self, endpoints: Collection[str]) -> None:
        """Use the engines at `endpoints`. Another one gets no more requests, and is forgotten when it has answered
        those that it has, or ends: then they are sent again."""
        for connection in self._connections:
            connection.is_leaving = connection.endpoint not in endpoints
        known = {connection.endpoint for connection in self._connections}
        for endpoint in sorted(set(endpoints) - known):
            self._connect(endpoint).open(self._take, self._end)
        self._forget_idle()
        self._update_view()
        self._dispatch.send_waiting()

    def _connect(self, endpoint: str) -> Connection:
        taken = {connection.place for connection in self._connections}
        place = next(place for place in itertools.count() if place not in taken)
        connection = Connection(self._context, endpoint, place, self._key)
        self._connections.append(connection)
        self._versions.add(connection)
        self._dispatch.add(connection)
        return connection

    def _forget_idle(self) -> None:
        """Close the connections to leaving engines that have no requests."""
        for connection in list(self._connections):
            if connection.is_leaving and self._dispatch.is_idle(connection):
                self._connections.remove(connection)
                self._dispatch.remove(connection)
                self._versions.remove(connection)
                connection.close()

    async def __aexit__(self, *exception: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for connection in self._connections:
            connection.close()
        self._dispatch.end()
        if self._owns_context:
            self._context.term()

    @property
    def pending(self) -> int:
        """Requests without an answer."""
        return len(self._dispatch)

    async def wait_ready(self, seconds: float) -> None:
        """Wait until an engine is ready, at most `seconds`."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._has_status.wait(), seconds)

    @overload
    async def answer(
        self,
        model: str,
        source: Source,
        answer: Label,
        terms: Terms,
        *,
        cost: int | None = None,
        carry: Carry | None = None,
    ) -> Labelled: ...
    @overload
    async def answer(
        self,
        model: str,
        source: Source,
        answer: Decode,
        terms: Terms,
        *,
        cost: int | None = None,
        carry: Carry | None = None,
    ) -> Decoded: ...
    @overload
    async def answer(
        self,
        model: str,
        source: Source,
        answer: Tag,
        terms: Terms,
        *,
        cost: int | None = None,
        carry: Carry | None = None,
    ) -> Tagged: ...
    @overload
    async def answer(
        self,
        model: str,
        source: Source,
        answer: Forecast,
        terms: Terms,
        *,
        cost: int | None = None,
        carry: Carry | None = None,
    ) -> Forecasted: ...
    @overload
    async def answer(
        self,
        model: str,
        source: Source,
        answer: Embed,
        terms: Terms,
        *,
        cost: int | None = None,
        carry: Carry | None = None,
    ) -> Embedded: ...
    @overload
    async def answer(
        self,
        model: str,
        source: Source,
        answer: AnswerSpec,
        terms: Terms,
        *,
        cost: int | None = None,
        carry: Carry | None = None,
    ) -> Answer: ...
    async def answer(
        self,
        model: str,
        source: Source,
        answer: AnswerSpec,
        terms: Terms,
        *,
        cost: int | None = None,
        carry: Carry | None = None,
    ) -> Answer:
        """Compute the answer to a source. `cost` is its expected cell steps, by which an engine is chosen; without it
        they are estimated without the architecture. Cancelling the call cancels the request. Raises EngineFailed,
        ModelUnavailable, ModelNotLoaded, TimedOut, ContradictoryOptions."""
        submit = Submit(next(self._ids), model, source, answer, terms, carry=carry)
        call = Call(submit, self._loop.create_future(), cost)
        self._dispatch.open(call)
        try:
            event = answer_in(await call.arrival)
        finally:
            self._dispatch.close(call)
        assert not isinstance(event, Part)
        return event

    async def answer_all(self, asked: Sequence[Asked], terms: Terms) -> list[Answer]:
        """The answers to several sources, in order. The first failure cancels the others and is raised (`answer`)."""
        group, calls = Group(self._loop.create_future(), len(asked)), list[GroupCall]()
        try:
            for one in asked:
                submit = Submit(next(self._ids), one.model, one.source, one.answer, terms, carry=one.carry)
                calls.append(GroupCall(submit, group, one.cost))
                self._dispatch.open(calls[-1])
                if len(calls) % _AT_ONCE == 0:
                    await asyncio.sleep(0)
            answer_in(await group.arrival)
        finally:
            for call in calls:
                self._dispatch.close(call)
        return [cast(Answer, call.event) for call in calls]

    @overload
    def stream(
        self,
        model: str,
        source: Source,
        answer: Decode,
        terms: Terms,
        *,
        cost: int | None = None,
        carry: Carry | None = None,
    ) -> AsyncGenerator[Progress | Decoded, None]: ...
    @overload
    def stream(
        self,
        model: str,
        source: Source,
        answer: Forecast,
        terms: Terms,
        *,
        cost: int | None = None,
        carry: Carry | None = None,
    ) -> AsyncGenerator[Values | Forecasted, None]: ...
    async def stream(
        self,
        model: str,
        source: Source,
        answer: Decode | Forecast,
        terms: Terms,
        *,
        cost: int | None = None,
        carry: Carry | None = None,
    ) -> AsyncGenerator[Part | Answer, None]:
        """Tokens as they are decoded, and Decoded; or rows as they are made, and Forecasted. Closing the generator
        cancels the request. Raises as `answer` does."""
        answer = msgspec.structs.replace(answer, stream=True)
        submit = Submit(next(self._ids), model, source, answer, terms, carry=carry)
        call = StreamCall(submit, self._loop.create_future(), cost)
        self._dispatch.open(call)
        try:
            while True:
                await call.arrival
                call.arrival = self._loop.create_future()
                while call.events:
                    event = answer_in(call.events.popleft())
                    yield event
                    if not isinstance(event, Part):
                        return
        finally:
            self._dispatch.close(call)

    def set_desired(self, versions: Mapping[str, str]) -> None:
        """Folders of the versions that each engine should have, by `name/version`; a restarted engine gets those that
        it lacks."""
        self._versions.set_desired(versions)

    async def load(self, model: str, folder: str) -> None:
        """Load a version into every ready engine, one after another, so that the others keep serving. Raises NotReady;
        LoadFailed and LoadInterrupted, after which some engines may have it."""
        await self._versions.load(model, folder)

    async def unload(self, model: str, *, linger: float) -> None:
        """Remove a version from every engine. Returns when its last requests have ended. Those whose engine died, and
        that wait for another one, come first."""
        while self._dispatch.has_waiting(model):  # noqa: ASYNC110 - each has a deadline
            await asyncio.sleep(_WAITING_SECONDS)
        await self._versions.unload(model, linger=linger)

    def _take(self, connection: Connection, message: ToFrontEnd) -> None:
        if isinstance(message, Events):
            self._dispatch.take(connection, message)
        elif isinstance(message, Status):
            self._take_status(connection, message)
        else:
            self._versions.changed(connection, message)
            self._update_view()
            self._dispatch.send_waiting()

    def _take_status(self, connection: Connection, status: Status) -> None:
        connection.status = status
        if connection.models != set(status.models):
            connection.models = frozenset(status.models)
        self._dispatch.measure(connection, status)
        if connection.instance != status.instance:
            if connection.instance:
                self._take_back(connection)
            connection.instance = status.instance
            self._versions.started(connection)
        self._has_status.set()
        self._update_view()
        self._versions.check(connection, status)
        self._dispatch.send_waiting()

    def _end(self, connection: Connection) -> None:
        self._update_view()
        self._take_back(connection)
        self._dispatch.send_waiting()

    def _take_back(self, connection: Connection) -> None:
        self._versions.ended(connection)
        self._dispatch.take_back(connection)

    def _update_view(self) -> None:
        self.view = view_of(self._connections, self.view)
        if self._on_ready is not None and self.view.is_ready:
            on_ready, self._on_ready = self._on_ready, None
            on_ready(self.view)

    def _tick(self) -> None:
        """Request the status of each engine, fail calls long past their deadline, and forget engines that left."""
        for connection in self._connections:
            connection.send(Hello())
        self._dispatch.expire(time.monotonic())
        self._forget_idle()
        self._timer = self._loop.call_later(HELLO_SECONDS if self.view.all_started else FIRST_HELLO_SECONDS, self._tick)
