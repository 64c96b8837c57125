"""A WebSocket over a connection of httpx, on which one message is answered by one."""

from contextlib import suppress
from typing import Any

import httpcore
import httpx

from unroll_client.frames import FrameReader, Opcode, frame
from unroll_client.policy import seconds_left

_AT_ONCE = 65_536  # bytes
_CLOSE_SECONDS = 1.0


class AsyncSocket:
    """An open WebSocket; `response` is that of its handshake."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._stream: Any = response.extensions["network_stream"]
        self._reader = FrameReader()
        self._is_open = True

    async def ask(self, content: bytes, deadline: float | None) -> bytes:
        """Send a message; the next one that comes. Raises the errors of httpcore, and ValueError for no WebSocket."""
        await self._stream.write(frame(Opcode.TEXT, content), timeout=_left(deadline))
        while True:
            data = await self._stream.read(_AT_ONCE, timeout=_left(deadline))
            if not data:
                raise httpcore.ReadError("the service closed it")
            for opcode, message in self._reader.feed(data):
                if opcode is Opcode.TEXT:
                    return message
                if opcode is Opcode.PING:
                    await self._stream.write(frame(Opcode.PONG, message), timeout=_left(deadline))
                elif opcode is Opcode.CLOSE:
                    raise httpcore.ReadError(f"the service closed it: {message[2:].decode(errors='replace')}")

    async def aclose(self) -> None:
        """Say so, and close the connection."""
        if self._is_open:
            self._is_open = False
            with suppress(httpcore.NetworkError, httpcore.TimeoutException):
                await self._stream.write(frame(Opcode.CLOSE, (1000).to_bytes(2)), timeout=_CLOSE_SECONDS)
        await self._response.aclose()


def _left(deadline: float | None) -> float | None:
    left = seconds_left(deadline)
    return None if left is None else max(0.001, left)
