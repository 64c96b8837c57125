"""The clock of an engine that may be on another machine, as seen from a front end.

Deadlines and times are on the clock of `time.monotonic`, which begins on each machine anew. Each status has the
engine's time: the front end translates what it sends and receives.
"""

import time
from collections import deque

import msgspec

from app.engine.protocol import Events, Status, Submit, Times, ToFrontEnd

_SAMPLES = 64  # statuses: clocks drift apart by milliseconds in a minute at most


class EngineClock:
    """The engine's clock minus the one of this process, in seconds, is at least `offset`: that of the status that came
    fastest, less the time that it took."""

    def __init__(self) -> None:
        self._instance = ""
        self._samples: deque[float] = deque(maxlen=_SAMPLES)
        self.offset = 0.0

    def to_engine(self, submit: Submit) -> Submit:
        """The request with its deadline on the engine's clock."""
        terms = submit.terms
        if terms.deadline is None:
            return submit
        terms = msgspec.structs.replace(terms, deadline=terms.deadline + self.offset)
        return msgspec.structs.replace(submit, terms=terms)

    def from_engine(self, message: ToFrontEnd) -> ToFrontEnd:
        """The message with its times on the clock of this process."""
        if isinstance(message, Status):
            self._measure(message)
            for figures in message.figures.values():
                figures.last_answered = self._here(figures.last_answered)
        elif isinstance(message, Events):
            return Events(message.events, [self._times(times) for times in message.times])
        return message

    def _measure(self, status: Status) -> None:
        if status.instance != self._instance:  # perhaps on another machine
            self._instance = status.instance
            self._samples.clear()
        self._samples.append(status.now - time.monotonic())
        self.offset = max(self._samples)

    def _times(self, times: Times) -> Times:
        points = (times.arrived, times.started, times.encoded, times.first_token, times.ended)
        return Times(times.id, *map(self._here, points))

    def _here(self, point: float) -> float:
        return point and point - self.offset
