"""Which engine gets a call, and where its calls go when an engine dies.

The dispatch holds every call. When an engine dies, its calls go to another engine that is ready, or wait for the next
one: the caller sees a slower answer, not an error. Any of them may have killed it. The first time they run again as any
other call. Those that ran on a second engine that died are suspects: they run in trials, with nothing beside them. A
trial under which an engine dies is cut into smaller ones, and a call under which one dies alone is refused.
"""

import itertools
import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from app.engine.client.calls import Call, Trial
from app.engine.client.connection import Connection
from app.engine.client.versions import EngineVersions
from app.engine.protocol import Cancel, Event, Events, Part, Started, Status
from app.request_context import Execution
from app.turns import Turns

log = logging.getLogger("unroll.client")
_MAX_TRIES = 6  # engines that end for no known reason while they have a request, before it fails
_PARTS = 2  # trials that follow one under which an engine died
_GRACE_SECONDS = 0.5  # in which an engine may report a passed deadline itself
_LOAD_STEPS = 5000  # work of loading a version, in cell steps


@dataclass(eq=False, slots=True)
class EngineLoad:
    """The load of one engine in estimated cell steps: `own` of this front end's calls, `foreign` of others. `models`
    counts these calls by version. It has at most one `trial` at a time."""

    connection: Connection
    own: float = 0.0
    foreign: float = 0.0
    models: Counter[str] = field(default_factory=Counter)
    last_send: int = 0
    trial: Trial | None = None

    def work_for(self, model: str) -> float:
        """Its work, and that of loading a version that it neither has nor loads."""
        return self.own + self.foreign + (0 if self._has_or_loads(model) else _LOAD_STEPS)

    def _has_or_loads(self, model: str) -> bool:
        status = self.connection.status
        if model in self.models:
            return True
        return status is not None and (model in status.precisions or model in status.loading)

    def is_before(self, other: "EngineLoad", model: str) -> bool:
        """Less work goes first; of equals the one that got a call last: its weights are still in the caches."""
        mine, others = self.work_for(model), other.work_for(model)
        return mine < others or (mine == others and self.last_send > other.last_send)


class Dispatch:
    """Sends each call to the ready engine with the least work that has its model."""

    def __init__(self, versions: EngineVersions) -> None:
        self._engines: dict[Connection, EngineLoad] = {}
        self._versions = versions
        self._calls: dict[int, Call] = {}
        self._waiting: dict[int, Call] = {}
        self._sends = itertools.count(1)
        self._trials = itertools.count(1)
        self._turns = Turns()

    def __len__(self) -> int:
        """Calls without an answer."""
        return len(self._calls)

    def add(self, connection: Connection) -> None:
        """Send calls to an engine, once it is ready."""
        self._engines[connection] = EngineLoad(connection)

    def remove(self, connection: Connection) -> None:
        """Forget an engine that has no calls."""
        del self._engines[connection]

    def is_idle(self, connection: Connection) -> bool:
        """Whether an engine has no calls."""
        return not self._engines[connection].models

    def has_waiting(self, model: str) -> bool:
        """Whether calls of a version wait for an engine."""
        return any(call.submit.model == model for call in self._waiting.values())

    def open(self, call: Call) -> None:
        """Send a new call."""
        self._calls[call.submit.id] = call
        self._send(call)

    def close(self, call: Call) -> None:
        """Forget a call, and cancel it on the engine that still has it."""
        del self._calls[call.submit.id]
        self._waiting.pop(call.submit.id, None)
        if call.connection is not None:
            call.connection.send(Cancel([call.submit.id]))
            self._detach(call, self._engines[call.connection])

    def send_waiting(self) -> None:
        """Send the calls that wait, after an engine became ready or has another version."""
        for call in list(self._waiting.values()):
            self._send(call)

    def take(self, connection: Connection, message: Events) -> None:
        """Pass the events of an engine on to its calls."""
        calls = self._calls
        for times in message.times:
            call = calls.get(times.id)
            if call is not None and call.connection is connection and call.context is not None:
                call.context.executions.append(
                    Execution(
                        call.submit.model,
                        connection.instance,
                        times.arrived,
                        times.started,
                        times.encoded,
                        times.first_token,
                        times.ended,
                    )
                )
        for event in message.events:
            self._turns.add(partial(self._deliver, connection, event))

    def _deliver(self, connection: Connection, event: Event) -> None:
        call = self._calls.get(event.id)
        if call is None or call.connection is not connection:
            return
        if isinstance(event, Started):
            call.is_started = True
            return
        call.take(event)
        if not isinstance(event, Part):
            self._detach(call, self._engines[connection])

    def measure(self, connection: Connection, status: Status) -> None:
        """Estimate the work that other front ends gave to an engine."""
        engine = self._engines[connection]
        engine.foreign = max(0.0, status.gauges.get("pending_steps", 0.0) - engine.own)

    def take_back(self, connection: Connection) -> None:
        """The engine died: its calls wait for another one, or are refused."""
        self._turns.finish()  # a call that it has answered is none of them
        engine = self._engines[connection]
        orphans = [call for call in self._calls.values() if call.connection is connection]
        if engine.trial is not None:
            engine.trial.attached = 0
        engine.trial, engine.own, engine.foreign = None, 0.0, 0.0
        engine.models.clear()
        if orphans:
            log.warning("an engine ended; %d requests are sent again", len(orphans))
        self._blame(orphans)
        for call in orphans:
            call.connection = None
            call.is_started = False
            if not call.is_ended:
                call.resume()
                self._waiting[call.submit.id] = call

    def _blame(self, orphans: Sequence[Call]) -> None:
        """Find the calls that may have killed their engine."""
        suspects = [call for call in orphans if call.trial is not None and call.is_started]
        if not suspects:  # it was no trial: nothing runs beside one
            for call in orphans:
                call.tries += 1
                if call.tries == _MAX_TRIES:
                    call.fail(f"{_MAX_TRIES} engines in turn ended while they had this request; it is not sent again")
            suspects = [call for call in orphans if call.is_started]
            for call in orphans:
                call.submit = msgspec.structs.replace(call.submit, again=True)
        if len(suspects) == 1 and suspects[0].trial is not None:
            log.error("an engine ended under a request of %s that ran alone", suspects[0].submit.model)
            suspects[0].fail("engines in turn ended while they ran this request, the last one when it ran alone")
            return
        size = math.ceil(len(suspects) / _PARTS)
        for first in range(0, len(suspects), max(1, size)):
            trial = Trial(next(self._trials))
            for call in suspects[first : first + size]:
                call.trial = trial
                call.submit = msgspec.structs.replace(call.submit, trial=trial.number)

    def expire(self, now: float) -> None:
        """Fail calls long past their deadline: there may be no engine to report it."""
        late = now - _GRACE_SECONDS
        for call in self._calls.values():
            deadline = call.submit.terms.deadline
            if deadline is not None and deadline < late and not call.is_ended:
                call.fail("no engine was free before the deadline", expired=True)

    def end(self) -> None:
        """Fail all calls: the front end ends."""
        for call in self._calls.values():
            call.connection = None
            call.fail("the service is ending")

    def _send(self, call: Call) -> None:
        """Send a call to the engine with the least work. Without an engine it waits; so does a suspect while each
        engine has another trial."""
        model = call.submit.model
        best: EngineLoad | None = None
        for engine in self._ready():
            if (
                model in engine.connection.models
                and _may_have(engine, call.trial)
                and (best is None or engine.is_before(best, model))
            ):
                best = engine
        if best is not None:
            self._attach(call, best)
        elif (reason := self._versions.why_gone(model)) is not None:
            self._waiting.pop(call.submit.id, None)
            call.fail(f"{model} {reason}", gone=True)
        else:
            self._waiting[call.submit.id] = call

    def _ready(self) -> Iterator[EngineLoad]:
        return (
            engine
            for engine in self._engines.values()
            if engine.connection.status is not None and not engine.connection.is_leaving
        )

    def _attach(self, call: Call, engine: EngineLoad) -> None:
        self._waiting.pop(call.submit.id, None)
        call.connection = engine.connection
        engine.own += call.cost
        engine.models[call.submit.model] += 1
        engine.last_send = next(self._sends)
        if call.trial is not None:
            engine.trial = call.trial
            call.trial.attached += 1
        engine.connection.submit(call.submit)

    def _detach(self, call: Call, engine: EngineLoad) -> None:
        call.connection = None
        engine.own -= call.cost
        engine.models[call.submit.model] -= 1
        if not engine.models[call.submit.model]:
            del engine.models[call.submit.model]
        if call.trial is not None:
            call.trial.attached -= 1
            if not call.trial.attached:
                engine.trial = None
                self.send_waiting()


def _may_have(engine: EngineLoad, trial: Trial | None) -> bool:
    """Whether an engine may get a call of a trial, or of none: a trial runs on one engine, which has no other."""
    return trial is None or engine.trial is trial or (engine.trial is None and not trial.attached)
