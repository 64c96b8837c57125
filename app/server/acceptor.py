"""Accepts connections: several in a turn of the event loop, and none without room."""

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence

from app.server.connections import Connections

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE = 0.1  # seconds, without room
Protocols = Callable[[], asyncio.Protocol]


class Acceptor:
    """Accepts from `listeners`. Up to `most` connections in a turn: several workers take one each, or the first to wake
    would take all."""

    def __init__(
        self, listeners: Sequence[socket.socket], create: Protocols, connections: Connections, *, most: int
    ) -> None:
        self._listeners = listeners
        self._create = create
        self._connections = connections
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._opening = set[asyncio.Task[object]]()
        self._is_closed = False
        for listener in listeners:
            listener.setblocking(False)
        self._resume()

    @property
    def is_opening(self) -> bool:
        """Whether connections are accepted that the server's state does not hold yet."""
        return bool(self._opening)

    def close(self) -> None:
        """Accept no more."""
        self._is_closed = True
        self._pause()

    def _resume(self) -> None:
        if not self._is_closed:
            for listener in self._listeners:
                self._loop.add_reader(listener, self._accept, listener)

    def _pause(self) -> None:
        for listener in self._listeners:
            self._loop.remove_reader(listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(self._most):
            if not self._connections.has_room():
                self._wait()
                return
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._connections.warn(f"no connection can be accepted: {error.strerror}")
                self._wait()
                return
            connection.setblocking(False)
            opening = self._loop.create_task(self._loop.connect_accepted_socket(self._create, connection))
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)

    def _wait(self) -> None:
        self._pause()
        self._loop.call_later(_PAUSE, self._resume)
