"""Admission: accepts or refuses requests to tasks, by the work of unanswered requests.

A request is checked twice. By its head, before anything is read (`HeadCheck`); then, when its body has been read, its
inputs are counted. Before that it counts as nothing: `app.server.bodies` bounds the bodies that are being read.
"""

import math
import time
from collections.abc import Callable

from app.api.window import Window
from app.errors import Overloaded

TICKET = "unroll.ticket"  # key of the ticket in an ASGI scope
_RATE_SECONDS = 10.0  # over which the rate is measured
_LONGEST_RETRY = 60  # seconds
_SAFE = 0.5  # share of a request's timeout that pending work may take, since the rate is only a mean
_SOON = 0.25  # share of a request's timeout: with a shorter mean answer time the service keeps up
_LATEST = 0.1  # weight of the latest request in the mean answer time
_LARGE = 0.25  # share of the pending steps that makes a request large


class Ticket:
    """A request to a task, with its share of the counts. Close it when the request ends."""

    __slots__ = ("_admission", "inputs", "is_answered", "read_at", "steps", "waited")

    def __init__(self, admission: "Admission", waited: float = 0.0) -> None:
        self._admission = admission
        self.waited = waited  # seconds until the application began
        self.inputs = 0
        self.steps = 0.0
        self.read_at: float | None = None  # when its body had been read; before that it counts as nothing
        self.is_answered = False

    def count_inputs(self, inputs: int) -> None:
        """Admit a request whose body has been read. Raises Overloaded."""
        self._admission.admit(self, inputs)

    def count_steps(self, steps: float) -> None:
        """Count the cost of the inputs. Raises Overloaded for a large request that does not fit beside the others."""
        self._admission.add_steps(self, steps)

    def answered(self, started_at: float | None, ended_at: float | None = None) -> None:
        """Note an answer, and when an engine began the request on the clock of `time.monotonic`. With `ended_at`, when
        the engine ended it, the time since then counts as a queue, too: that of answers in a busy front end."""
        self.is_answered = True
        if started_at is not None and self.read_at is not None:
            since = 0.0 if ended_at is None else self._admission.seconds_since(ended_at)
            self._admission.window.measure(self.waited + started_at - self.read_at + since)

    def close(self) -> None:
        """Remove the request from the counts, answered or not."""
        self._admission.close(self)


class Admission:
    """Counts admitted, unanswered requests with their inputs and cell steps, and measures the rate of answers.

    The rate is an exponentially weighted mean over the seconds in which a request was pending. `window` limits the
    requests. A small request is admitted while fewer than `most_steps` are pending; a large one if its own fit, too, or
    if it is the only one: otherwise it would be the reason to refuse all others. Pure logic; `clock` returns seconds.
    """

    def __init__(
        self, *, most_inputs: int, most_steps: float, window: Window, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.most_inputs = most_inputs
        self.most_steps = most_steps
        self.window = window
        self.requests = 0
        self.inputs = 0
        self.steps = 0.0
        self.is_draining = False
        self._clock = clock
        self._updated = clock()
        self._weight = 0.0  # of the measured seconds, at most 1
        self._answered_steps = 0.0  # cell steps answered, weighted
        self._answer_seconds = 0.0  # mean time to the answer, without that in which the body came

    def refuses(self, seconds: float, *, entering: int = 0) -> bool:
        """Whether a request with a timeout of `seconds` should be refused before its body is read. `entering` requests
        passed this check and are not admitted yet."""
        if self.requests + entering >= self.window.size:
            self.window.note_need()
            return True
        return self._is_full(1 + entering) or self.is_too_late(seconds, entering)

    def seconds_since(self, moment: float) -> float:
        """Seconds since a moment on the clock of `time.monotonic`."""
        return max(0.0, self._clock() - moment)

    def admit(self, ticket: Ticket, inputs: int) -> None:
        if self._is_full(inputs):
            raise overloaded(self, self.retry_after())
        self._update()
        ticket.read_at, ticket.inputs = self._updated, inputs
        self.requests += 1
        self.inputs += inputs

    def is_too_late(self, seconds: float, entering: int = 0) -> bool:
        """Whether pending work will take more than a safe share of a timeout of `seconds`, at the current rate.
        Requests that enter count as those that are pending.

        A service that is not busy answers at the rate of its clients, which is below its capacity. The rate is
        therefore ignored while answers are fast.
        """
        rate = self.rate if self._answer_seconds > _SOON * seconds else 0.0
        steps = self.steps * (1 + entering / self.requests) if self.requests else 0.0
        return bool(rate) and steps / rate > _SAFE * seconds

    def check_time(self, seconds: float) -> None:
        """Raises Overloaded if the answer would come too late: refusing before the work saves it."""
        if self.is_too_late(seconds):
            raise overloaded(self, self.retry_after())

    def add_steps(self, ticket: Ticket, steps: float) -> None:
        others = self.steps - ticket.steps
        if self.requests > 1 and steps > _LARGE * self.most_steps and others + steps > self.most_steps:
            raise overloaded(self, self.retry_after())
        self.steps = others + steps
        ticket.steps = steps

    def close(self, ticket: Ticket) -> None:
        if ticket.read_at is None:
            return
        self._update()
        if ticket.is_answered:
            self._answered_steps += ticket.steps
            took = ticket.waited + self._updated - ticket.read_at
            self._answer_seconds = (
                self._answer_seconds + _LATEST * (took - self._answer_seconds) if self._answer_seconds else took
            )
        self.requests -= 1
        self.inputs -= ticket.inputs
        self.steps = self.steps - ticket.steps if self.requests else 0.0  # without leftovers of rounding

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
        return self._answered_steps / (_RATE_SECONDS * self._weight) if self._weight else 0.0

    def retry_after(self) -> int:
        """Seconds until the pending work is done, at least 1."""
        rate = self.rate
        return min(_LONGEST_RETRY, max(1, math.ceil(self.steps / rate))) if rate else 1

    def _is_full(self, inputs: int) -> bool:
        return self.inputs + inputs > self.most_inputs or self.steps >= self.most_steps

    def _update(self) -> None:
        now = self._clock()
        if self.requests:
            kept = math.exp((self._updated - now) / _RATE_SECONDS)
            self._answered_steps *= kept
            self._weight = 1 - (1 - self._weight) * kept
        self._updated = now


def overloaded(admission: Admission, seconds: int) -> Overloaded:
    """The error of a request that is refused because too much work is pending."""
    return Overloaded(
        f"Overloaded (limits: {admission.most_inputs} pending inputs, {admission.most_steps:.0f} pending cell steps, "
        f"the queue time, the timeout of the request); retry in {seconds} s",
        retry_after_seconds=seconds,
    )
