"""The lines of a body that comes piece by piece: read a little ahead, so that a client that hangs up is noticed."""

import asyncio
from collections import deque

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from app.errors import BodyTooLarge, UnrollError

_AHEAD = 65_536  # bytes of lines that may wait; then the client waits, too


class Lines:
    """Lines that have come and wait. Without their line end they have at most `most` bytes; empty ones are left out."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._waiting: deque[bytes] = deque()
        self._bytes = 0  # that wait
        self._unfinished = bytearray()
        self._failure: UnrollError | None = None
        self._has_ended = False
        self._changed = asyncio.Event()
        self._has_room = asyncio.Event()
        self._is_gone = asyncio.Event()

    async def follow(self) -> None:
        """Read until the client is gone."""
        try:
            while (message := await self._receive())["type"] == "http.request":
                self._add(message)
                while self._bytes > _AHEAD:
                    self._has_room.clear()
                    await self._has_room.wait()
            self._is_gone.set()
        except UnrollError as error:  # of the server, or a line that is too long
            self._failure = error
        self._changed.set()

    async def next(self) -> bytes | None:
        """The next line, None after the last one. Raises ClientDisconnect, and what is wrong with the body."""
        while not self._waiting:
            if self._is_gone.is_set():
                raise ClientDisconnect
            if self._failure is not None:
                raise self._failure
            if self._has_ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        line = self._waiting.popleft()
        self._bytes -= len(line)
        self._has_room.set()
        return line

    async def gone(self) -> Message:
        """Return when the client has hung up."""
        await self._is_gone.wait()
        return {"type": "http.disconnect"}

    def _add(self, message: Message) -> None:
        begin = len(self._unfinished)
        self._unfinished += message.get("body", b"")
        if self._unfinished.find(b"\n", begin) >= 0:
            *lines, rest = self._unfinished.split(b"\n")
            self._unfinished = rest
            for line in lines:
                self._keep(bytes(line))
        if len(self._unfinished) > self._most:
            raise self._too_long()
        if not message.get("more_body", False):
            self._has_ended = True
            self._keep(bytes(self._unfinished))
            self._unfinished = bytearray()
        self._changed.set()

    def _keep(self, line: bytes) -> None:
        if len(line) > self._most:
            raise self._too_long()
        if line.strip():
            self._waiting.append(line)
            self._bytes += len(line)

    def _too_long(self) -> BodyTooLarge:
        return BodyTooLarge(f"a piece exceeds the limit of {self._most} bytes; send smaller ones", limit=self._most)
