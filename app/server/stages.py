"""The stages of a connection, each with a time limit, and its end."""

import math
from enum import Enum, auto
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.api.refusals import LINGER_SECONDS
from app.server.intake import Intake
from app.server.limits import ConnectionLimits

_LAST_READ_SECONDS = 5.0  # in which a client must read something while the service ends


class Stage(Enum):
    """What a connection does."""

    OPEN = auto()  # no byte of a head has come
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    CLOSING = auto()  # the last response is sent; what still comes is dropped


class StagedConnection(HttpToolsProtocol):
    """A connection. Its stage began at `since`; at `due` it must have ended, on the clock of the event loop."""

    flow: Intake

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], limits: ConnectionLimits
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._limits = limits
        self._is_deaf = False  # what comes is dropped
        self._read_by = math.inf  # when the client must have read what was sent
        self._is_ending = False  # with the service
        self._unsent = 0  # bytes that a closing connection had not sent when that was last looked at
        self._enter(Stage.OPEN, limits.head_seconds)

    def _enter(self, stage: Stage, seconds: float = math.inf) -> None:
        self._stage = stage
        self.since = self.loop.time()
        self._stage_due = self.since + seconds

    @property
    def due(self) -> float:
        return min(self._stage_due, self._read_by)

    @property
    def is_unread(self) -> bool:
        """Whether the client has not read what it was sent."""
        return self._read_by != math.inf

    def give_way(self) -> None:
        """Close at once for a new connection, and count no more: the transport ends in the next turn of the loop."""
        self.connections.discard(self)
        self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_by = self.loop.time() + self._read_seconds

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read_by = math.inf

    def _linger(self) -> None:
        """Send no more, and drop what the client still sends for a moment: it would lose the response otherwise."""
        self.transport.write_eof()
        self._ignore_the_rest()
        self._enter(Stage.CLOSING, LINGER_SECONDS)

    def _close(self) -> None:
        """Close when what was written is sent, or when the client stops to read it."""
        self.transport.close()
        self._ignore_the_rest()
        self._wait_for_reader()

    def _wait_for_reader(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._enter(Stage.CLOSING, self._read_seconds if self._unsent else LINGER_SECONDS)

    @property
    def _read_seconds(self) -> float:
        """In which a client must read what was sent."""
        return min(_LAST_READ_SECONDS, self._limits.body_seconds) if self._is_ending else self._limits.body_seconds

    def _ignore_the_rest(self) -> None:
        self._is_deaf = True
        self.flow.drop()
        self.flow.steer()
