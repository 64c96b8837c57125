"""The pace of the event loop: while it is behind, no connection is accepted and no further request is read."""

import asyncio
from collections.abc import Callable

_PERIOD = 0.02  # seconds between two measurements
_BEHIND = 0.05  # seconds of lag


class Pace:
    """Measures how late timers fire. `when_caught_up` calls back once the loop keeps up."""

    def __init__(self) -> None:
        self.lag = 0.0  # seconds
        self._waiting: list[Callable[[], None]] = []

    @property
    def is_behind(self) -> bool:
        return self.lag > _BEHIND

    def when_caught_up(self, resume: Callable[[], None]) -> None:
        """Call `resume` when the loop is no longer behind."""
        self._waiting.append(resume)

    async def watch(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _PERIOD
            await asyncio.sleep(_PERIOD)
            self.lag = loop.time() - due
            if not self.is_behind and self._waiting:
                waiting, self._waiting = self._waiting, []
                for resume in waiting:
                    resume()
