"""The open connections of a front end: their number is bounded, and none stays in a stage for too long."""

import asyncio
import logging
import resource
import time
from collections.abc import Set
from typing import cast

from uvicorn.server import ServerState

from app.server.limits import ConnectionLimits
from app.server.protocol import HttpProtocol

log = logging.getLogger("unroll.server")
_RESERVED_FILES = 128  # descriptors for everything but connections
_PERIOD = 0.5  # seconds between two looks at the time limits
_WARNING_SECONDS = 10.0  # between two warnings


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one, for this process and its children. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def most_connections() -> int:
    """The connections that a process can have open at the same time."""
    return max(16, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _RESERVED_FILES)


class Connections:
    """The connections in the state of a uvicorn server."""

    def __init__(self, state: ServerState, limits: ConnectionLimits) -> None:
        self._all = cast(Set[HttpProtocol], state.connections)
        self._period = min(_PERIOD, limits.head_seconds / 4, limits.body_seconds / 4, limits.idle_seconds / 4)
        self._most = most_connections()
        self._warned = -_WARNING_SECONDS

    def has_room(self) -> bool:
        """Whether one more connection can be accepted. When all are in use, the oldest that is idle is closed, or the
        oldest whose client does not read."""
        if len(self._all) < self._most:
            return True
        self.warn(f"{self._most} connections are open, the limit of open files; idle ones are closed for new ones")
        for candidates in ([one for one in self._all if one.is_idle], [one for one in self._all if one.is_unread]):
            if candidates:
                min(candidates, key=lambda one: one.since).give_way()
                return True
        return False

    def warn(self, message: str) -> None:
        """Log a warning, unless one was logged just now."""
        now = time.monotonic()
        if now - self._warned >= _WARNING_SECONDS:
            self._warned = now
            log.warning(message)

    async def watch(self) -> None:
        """End connections whose time is over, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._period)
            now = loop.time()
            for connection in [one for one in self._all if one.due <= now]:
                connection.expire()
