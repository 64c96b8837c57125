"""Admission: which requests to tasks are accepted, by the work of those that are not answered yet.

A request counts as a guess from its length until its body has been read. `app.api.middleware.gate` asks here.
"""

import asyncio
import math
import time
from collections.abc import Callable

from app.errors import Overloaded

TICKET = "unroll.ticket"  # its key in an ASGI scope
_WINDOW = 10.0  # seconds over which the rate is measured
_LONGEST_RETRY = 60  # seconds
_LAG_SECONDS = 0.02  # between two measurements of the event loop's lag
_ORDINARY_LAG = 0.02  # seconds of lag that mean nothing
_SAFE = 0.5  # share of a request's time that pending work may take: the rate is a mean, and no promise
_SOON = 0.25  # share of a request's time: a service that answers others within it keeps up
_NEW = 0.1  # weight of the latest request in the mean of how long requests take


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
