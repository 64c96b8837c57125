"""Admission: accepts or refuses requests to tasks, by the work of unanswered requests.

Until its body has been read, a request counts with an estimate from its length. `app.api.middleware.gate` admits
requests with it.
"""

import asyncio
import math
import time
from collections.abc import Callable

from app.errors import Overloaded

TICKET = "unroll.ticket"  # key of the ticket in an ASGI scope
_WINDOW = 10.0  # seconds over which the rate is measured
_LONGEST_RETRY = 60  # seconds
_LAG_SECONDS = 0.02  # between two measurements of the event loop's lag
_ORDINARY_LAG = 0.02  # seconds of lag that are normal
_SAFE = 0.5  # share of a request's timeout that pending work may take, since the rate is only a mean
_SOON = 0.25  # share of a request's timeout: with a shorter mean answer time the service keeps up
_LATEST = 0.1  # weight of the latest request in the mean answer time


class Ticket:
    """An admitted request, with its share of the counts. Close it when the request ends."""

    __slots__ = ("_admission", "inputs", "is_answered", "read_at", "steps")

    def __init__(self, admission: "Admission", inputs: int, steps: float) -> None:
        self._admission = admission
        self.inputs = inputs
        self.steps = steps
        self.read_at: float | None = None  # when its body had been read; before that it is no work
        self.is_answered = False

    def count_inputs(self, inputs: int) -> None:
        """Count the inputs of a request whose body has been read. Raises Overloaded above the limit of inputs."""
        self._admission.check_inputs(inputs - self.inputs)
        self._admission.inputs += inputs - self.inputs
        self.inputs = inputs
        self._admission.read(self)

    def count_steps(self, steps: float) -> None:
        """Replace the estimate by the real cost. The request stays admitted."""
        self._admission.correct(self, steps)

    def close(self) -> None:
        """Remove the request from the counts, answered or not."""
        self._admission.close(self)


class Admission:
    """Counts admitted, unanswered requests with their inputs and cell steps, and measures the rate of answers.

    The rate is an exponentially weighted mean over the seconds in which a request was pending whose body had been read.
    A body that arrives slowly, or never, is no work, so it does not lower the rate. A request larger than `most_steps`
    is admitted when nothing else is pending. Pure logic; `clock` returns seconds.
    """

    def __init__(self, *, most_inputs: int, most_steps: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.most_inputs = most_inputs
        self.most_steps = most_steps
        self.requests = 0
        self.inputs = 0
        self.steps = 0.0
        self.waiting_requests = 0  # whose bodies have been read
        self.waiting_steps = 0.0  # of those requests
        self.is_draining = False
        self.lag = 0.0  # of the event loop in seconds, see `watch_lag`
        self._clock = clock
        self._updated = clock()
        self._weight = 0.0  # of the measured seconds, at most 1
        self._answered_steps = 0.0  # cell steps answered, weighted
        self._answer_seconds = 0.0  # mean time from the body to the answer

    def admit(self, inputs: int, steps: float) -> Ticket | None:
        """Admit a request. Returns None above the limits."""
        if self.inputs + inputs > self.most_inputs or (self.steps and self.steps + steps > self.most_steps):
            return None
        self.requests += 1
        self.inputs += inputs
        self.steps += steps
        return Ticket(self, inputs, steps)

    def check_inputs(self, more: int) -> None:
        """Raises Overloaded if `more` inputs exceed the limit."""
        if self.inputs + more > self.most_inputs:
            raise overloaded(self, self.retry_after())

    def is_too_late(self, seconds: float) -> bool:
        """Whether pending work will take more than a safe share of a timeout of `seconds`, at the current rate.

        If the event loop lags, this request has waited in a socket for about the lag, and its answer will wait as long.
        A service that is not busy answers at the rate of its clients, which is below its capacity. The rate is
        therefore ignored while answers are fast.
        """
        rate = self.rate if self._answer_seconds > _SOON * seconds else 0.0
        behind = 2 * self.lag if self.lag > _ORDINARY_LAG else 0.0
        return behind + (self.waiting_steps / rate if rate else 0.0) > _SAFE * seconds

    def check_time(self, seconds: float) -> None:
        """Raises Overloaded if the answer would come too late: refusing before the work saves it."""
        if self.is_too_late(seconds):
            raise overloaded(self, self.retry_after())

    def read(self, ticket: Ticket) -> None:
        """The body of a request has arrived: its estimated steps wait from now on."""
        if ticket.read_at is None:
            self._update()
            ticket.read_at = self._updated
            self.waiting_requests += 1
            self.waiting_steps += ticket.steps

    def correct(self, ticket: Ticket, steps: float) -> None:
        self.steps += steps - ticket.steps
        if ticket.read_at is not None:
            self.waiting_steps += steps - ticket.steps
        ticket.steps = steps

    def close(self, ticket: Ticket) -> None:
        self._update()
        if ticket.is_answered:
            self._answered_steps += ticket.steps
            if ticket.read_at is not None:
                took = self._updated - ticket.read_at
                self._answer_seconds = (
                    self._answer_seconds + _LATEST * (took - self._answer_seconds) if self._answer_seconds else took
                )
        self.requests -= 1
        self.inputs -= ticket.inputs
        self.steps = self.steps - ticket.steps if self.requests else 0.0  # without leftovers of rounding
        if ticket.read_at is not None:
            self.waiting_requests -= 1
            self.waiting_steps = self.waiting_steps - ticket.steps if self.waiting_requests else 0.0

    def drain(self) -> None:
        """The service is about to end: probes report it, and requests are still answered."""
        self.is_draining = True

    def figures(self) -> dict[str, float]:
        """Admitted, unanswered work, by the names of the metrics."""
        return {"requests": self.requests, "inputs": self.inputs, "steps": self.steps}

    @property
    def rate(self) -> float:
        """Cell steps answered per second with work pending; 0 before the first work."""
        self._update()
        return self._answered_steps / (_WINDOW * self._weight) if self._weight else 0.0

    def retry_after(self) -> int:
        """Seconds until the waiting work is done, at least 1."""
        rate = self.rate
        return min(_LONGEST_RETRY, max(1, math.ceil(self.waiting_steps / rate))) if rate else 1

    def _update(self) -> None:
        now = self._clock()
        if self.waiting_requests:
            kept = math.exp((self._updated - now) / _WINDOW)
            self._answered_steps *= kept
            self._weight = 1 - (1 - self._weight) * kept
        self._updated = now


async def watch_lag(admission: Admission) -> None:
    """Measure `admission.lag`, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _LAG_SECONDS
        await asyncio.sleep(_LAG_SECONDS)
        admission.lag = max(loop.time() - due, 0.5 * admission.lag)


def overloaded(admission: Admission, seconds: int) -> Overloaded:
    """The error of a request that is refused because too much work is pending."""
    return Overloaded(
        f"Overloaded (limits: {admission.most_inputs} pending inputs, {admission.most_steps:.0f} pending cell steps, "
        f"the timeout of the request); retry in {seconds} s",
        retry_after_seconds=seconds,
    )
