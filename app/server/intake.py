"""The bytes of a connection on their way to the parser."""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl

_PIECE = 4096  # bytes: it may hold hundreds of chunks or requests, whose parsing holds the event loop
_BODY_PIECE = 65_536  # of a body with a length: they cost nothing but a copy


class Intake(FlowControl):
    """uvicorn's flow control, and the bytes that have arrived and are not parsed.

    They are parsed in pieces, and only while the application takes what came before and the client reads what it was
    sent. Meanwhile the transport does not read. `go_on` is called when a piece may be parsed again. `body_left`: bytes
    until the end of the body with a length that arrives, else 0.
    """

    def __init__(self, transport: asyncio.Transport, go_on: Callable[[], None]) -> None:
        super().__init__(transport)
        self._go_on = go_on
        self._waiting = memoryview(b"")
        self._reads = True
        self.body_left = 0

    @property
    def has_bytes(self) -> bool:
        return bool(self._waiting)

    @property
    def is_blocked(self) -> bool:
        return self.read_paused or self.write_paused

    def add(self, data: bytes) -> None:
        self._waiting = memoryview(bytes(self._waiting) + data if self._waiting else data)

    def take(self) -> memoryview:
        """The next piece; it does not exceed the end of a body with a length."""
        size = min(self.body_left, _BODY_PIECE) or _PIECE
        piece, self._waiting = self._waiting[:size], self._waiting[size:]
        return piece

    def drop(self) -> None:
        """Forget what waits."""
        self._waiting = memoryview(b"")

    def end(self) -> None:
        """The connection is lost: nothing goes on, and nothing here refers to it."""
        self.drop()
        self._go_on = _nothing

    def steer(self) -> None:
        """Let the transport read, or not."""
        reads = not (self._waiting or self.is_blocked)
        if reads != self._reads and not self._transport.is_closing():
            self._reads = reads
            (self._transport.resume_reading if reads else self._transport.pause_reading)()

    def pause_reading(self) -> None:
        self.read_paused = True
        self.steer()

    def resume_reading(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self._resume()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.steer()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._resume()

    def _resume(self) -> None:
        if self._waiting:
            self._go_on()
        self.steer()


def _nothing() -> None:
    """After the end of a connection."""
