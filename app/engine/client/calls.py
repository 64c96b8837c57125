"""Requests without an answer yet: a call, and a call whose tokens or numbers are streamed."""

import asyncio
from collections import deque
from dataclasses import dataclass

import msgspec

from app.engine.client.connection import Connection
from app.engine.cost import cost_of
from app.engine.protocol import Answer, Decode, Event, Failed, Part, Progress, Submit, Values
from app.errors import ContradictoryOptions, EngineFailed, ModelNotLoaded, ModelUnavailable, TimedOut
from app.request_context import REQUEST_CONTEXT


@dataclass(eq=False, slots=True)
class Trial:
    """Suspects that run together on one engine, with nothing beside them. `number` is unique in its front end;
    `attached` is how many of them an engine has now."""

    number: int
    attached: int = 0


class Call:
    """A request until its answer comes."""

    __slots__ = (
        "arrival",
        "connection",
        "context",
        "cost",
        "is_ended",
        "is_started",
        "original",
        "submit",
        "trial",
        "tries",
    )

    def __init__(self, submit: Submit, arrival: asyncio.Future[Event], cost: int | None = None) -> None:
        self.original = self.submit = submit
        self.arrival = arrival  # of the next event
        self.cost = cost_of(submit.source, submit.answer).total if cost is None else cost
        self.context = REQUEST_CONTEXT.get()  # of its HTTP request
        if self.context is not None:
            self.context.models[submit.model] = None
        self.connection: Connection | None = None  # to its engine; without one it waits
        self.trial: Trial | None = None
        self.is_started = False  # its engine sent Started, which only one that has it `again` does
        self.is_ended = False  # its last event has come
        self.tries = 0  # engines that ended for no known reason while they had it

    def take(self, event: Event) -> None:
        """Pass an event on to the caller."""
        self.is_ended = True
        if not self.arrival.done():
            self.arrival.set_result(event)

    def fail(self, reason: str, *, expired: bool = False, gone: bool = False) -> None:
        """End the call without an engine."""
        self.take(Failed(self.submit.id, reason, expired=expired, gone=gone))

    def resume(self) -> None:
        """Make `submit` the request for the next engine."""


class Group:
    """Calls that are awaited together: `arrival` has the first failure, or else the last event."""

    __slots__ = ("arrival", "left")

    def __init__(self, arrival: asyncio.Future[Event], size: int) -> None:
        self.arrival = arrival
        self.left = size

    def take(self, event: Event) -> None:
        """Note the event of one of the calls."""
        self.left -= 1
        if (not self.left or isinstance(event, Failed)) and not self.arrival.done():
            self.arrival.set_result(event)


class GroupCall(Call):
    """A request of a group. `event` is its answer."""

    __slots__ = ("event", "group")

    def __init__(self, submit: Submit, group: Group, cost: int | None = None) -> None:
        super().__init__(submit, group.arrival, cost)
        self.group = group
        self.event: Event | None = None

    def take(self, event: Event) -> None:
        if not self.is_ended:
            self.is_ended, self.event = True, event
            self.group.take(event)


class StreamCall(Call):
    """A request with `stream`. After an engine's death the next one computes what was delivered once more, and this is
    skipped: the caller sees one unbroken stream. Tokens are forced to be the same; rows of numbers differ at most by
    rounding."""

    __slots__ = ("delivered", "delivered_rows", "events", "skip")

    def __init__(self, submit: Submit, arrival: asyncio.Future[Event], cost: int | None = None) -> None:
        super().__init__(submit, arrival, cost)
        self.events: deque[Event] = deque()
        self.delivered: list[int] = []
        self.delivered_rows = 0
        self.skip = 0  # delivered tokens or rows that come once more

    def take(self, event: Event) -> None:
        fresh: Event | None = event
        if isinstance(event, Progress):
            fresh = self._undelivered(event)
        elif isinstance(event, Values):
            fresh = self._undelivered_rows(event)
        if fresh is None:
            return
        event = fresh
        self.is_ended = not isinstance(event, Part)
        self.events.append(event)
        if not self.arrival.done():
            self.arrival.set_result(event)

    def _undelivered(self, progress: Progress) -> Event | None:
        """The part that the caller does not have, if any."""
        again = min(self.skip, len(progress.tokens))
        if again:
            since = len(self.delivered) - self.skip
            if progress.tokens[:again] != self.delivered[since : since + again]:
                return Failed(progress.id, "the engine ended, and the next one decoded other tokens; send it again")
            self.skip -= again
            if again == len(progress.tokens) == len(progress.log_probs):
                return None
            progress = Progress(
                progress.id,
                progress.tokens[again:],
                progress.log_probs[again:],
                progress.alternatives and progress.alternatives.rows(again),
                progress.attention and progress.attention.rows(again),
            )
        self.delivered += progress.tokens
        return progress

    def _undelivered_rows(self, values: Values) -> Event | None:
        """The rows that the caller does not have, if any."""
        again = min(self.skip, len(values.rows))
        self.skip -= again
        if again == len(values.rows):
            return None
        self.delivered_rows += len(values.rows) - again
        return Values(values.id, values.rows.rows(again)) if again else values

    def resume(self) -> None:
        decode = self.original.answer
        if not isinstance(decode, Decode):
            self.skip = self.delivered_rows
            return
        prefix = max(decode.prefix, self.delivered, key=len)  # one begins with the other: a prefix is decoded, too
        self.submit = msgspec.structs.replace(self.submit, answer=msgspec.structs.replace(decode, prefix=prefix))
        self.skip = len(self.delivered)


def answer_in(event: Event) -> Answer | Part:
    """The content of an event. Raises the error of one that failed: EngineFailed, ModelUnavailable, ModelNotLoaded,
    TimedOut or ContradictoryOptions."""
    if isinstance(event, Failed):
        if event.options:
            raise ContradictoryOptions(event.reason, options=event.options)
        if event.not_loaded:
            raise ModelNotLoaded(event.reason)
        kind = TimedOut if event.expired else ModelUnavailable if event.gone else EngineFailed
        raise kind(event.reason)
    assert isinstance(event, Answer | Part)
    return event
