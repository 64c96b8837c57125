"""The window of requests in flight: how many may wait for answers, by the queue time that they measure."""

import time
from collections.abc import Callable

_INTERVAL = 0.1  # seconds over which the shortest queue time is taken
_SHRINK = 0.9
_STEPS_TO_GROW = 16  # intervals in which the window grows by `least`


class Window:
    """Additive increase, multiplicative decrease (Chiu and Jain 1989) of the requests in flight.

    The signal is the shortest queue time of an interval: if even that exceeds `target` seconds, the queue is a standing
    one and not a burst (CoDel: Nichols and Jacobson 2012, "Controlling Queue Delay"). The window never falls below
    `least`, which keeps the engines busy, and begins at `most`, so that a first burst is not refused. Pure logic;
    `clock` returns seconds.
    """

    def __init__(self, *, least: int, most: int, target: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._least = min(least, most)
        self._most = most
        self._target = target
        self._clock = clock
        self._size = float(most)
        self._interval_ends = clock() + _INTERVAL
        self._shortest: float | None = None
        self._was_needed = False

    @property
    def size(self) -> int:
        """The number of requests that may be in flight."""
        return int(self._size)

    def note_need(self) -> None:
        """A request was refused for the window."""
        self._was_needed = True

    def measure(self, queue_seconds: float) -> None:
        """A request was answered that had waited for `queue_seconds`, for an engine or in a busy front end."""
        if self._shortest is None or queue_seconds < self._shortest:
            self._shortest = queue_seconds
        now = self._clock()
        if now < self._interval_ends:
            return
        if self._shortest > self._target:
            self._size = max(self._least, self._size * _SHRINK)
        elif self._was_needed:
            self._size = min(self._most, self._size + max(1.0, self._least / _STEPS_TO_GROW))
        self._interval_ends, self._shortest, self._was_needed = now + _INTERVAL, None, False
