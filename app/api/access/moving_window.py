"""Moving windows over the requests of callers, in this process.

Times are of the monotonic clock: a change of the machine's time neither frees nor locks out a caller.
"""

import time
from collections import deque
from typing import NamedTuple

from limits import RateLimitItem


class _Window(NamedTuple):
    """The window of one rate limit of a caller."""

    caller: str
    most: int
    seconds: int


class MovingWindows:
    """The times of the requests in each window, the oldest first."""

    def __init__(self) -> None:
        self._times: dict[_Window, deque[float]] = {}

    def hit(self, item: RateLimitItem, caller: str) -> bool:
        """Count a request, unless the window is full; whether it was counted."""
        times = self._current(_Window(caller, item.amount, item.get_expiry()))
        if len(times) >= item.amount:
            return False
        times.append(time.monotonic())
        return True

    def seconds_until_next(self, item: RateLimitItem, caller: str) -> float:
        """Seconds until the oldest request leaves a full window."""
        times = self._current(_Window(caller, item.amount, item.get_expiry()))
        return times[0] + item.get_expiry() - time.monotonic() if len(times) >= item.amount else 0.0

    def forget(self) -> None:
        """Drop windows without requests."""
        for window in list(self._times):
            if not self._current(window):
                del self._times[window]

    def _current(self, window: _Window) -> deque[float]:
        """The times that are in the window now."""
        times = self._times.setdefault(window, deque())
        begin = time.monotonic() - window.seconds
        while times and times[0] <= begin:
            times.popleft()
        return times
