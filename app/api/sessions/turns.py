"""Requests of one session, one after the other within a process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.api.sessions.kept import Place


class _Queue:
    """The turns of one session: asyncio's lock is given in the order of arrival."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.requests = 0


class Turns:
    """A queue for each session that has a request. Who waits too long is cancelled from outside."""

    def __init__(self) -> None:
        self._queues: dict[Place, _Queue] = {}

    @asynccontextmanager
    async def of(self, place: Place) -> AsyncIterator[None]:
        """The context of one request of a session."""
        queue = self._queues.setdefault(place, _Queue())
        queue.requests += 1
        try:
            async with queue.lock:
                yield
        finally:
            queue.requests -= 1
            if not queue.requests:
                del self._queues[place]
