"""Turns of the event loop: work that came together is spread over several, so that none of them is long.

Between two turns the loop looks at its sockets. A new request waits for as long as a turn takes, so a hundred answers
that arrive in one message must not be delivered in one turn.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

_WORK_SECONDS = 0.001  # without a pause
_MOST = 4  # pieces of work in a turn, each followed by the tasks that it wakes


class Turns:
    """A queue of work, in order."""

    def __init__(self) -> None:
        self._waiting = deque[Callable[[], object]]()
        self._is_running = False

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, work: Callable[[], object]) -> None:
        """Do some work soon: in the next turn, unless other work waits."""
        self._waiting.append(work)
        if not self._is_running:
            self._is_running = True
            asyncio.get_running_loop().call_soon(self._run)

    def finish(self) -> None:
        """Do all work now."""
        while self._waiting:
            self._waiting.popleft()()

    def _run(self) -> None:
        try:
            for _ in range(min(_MOST, len(self._waiting))):
                self._waiting.popleft()()
        finally:  # work that fails does not keep the rest from running
            self._is_running = bool(self._waiting)
            if self._waiting:
                asyncio.get_running_loop().call_soon(self._run)


class Pauses:
    """Pauses within one long piece of work, so that none of its turns is long."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    async def pause(self) -> None:
        """Let other work run, if this work has run for a millisecond since the last pause."""
        if time.perf_counter() - self._began > _WORK_SECONDS:
            await asyncio.sleep(0)
            self._began = time.perf_counter()
