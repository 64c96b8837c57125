"""HTTP/1.1 over a socket, byte by byte: clients of a soak hang up, stall and read slowly at places of their choice."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

_READ = 64 * 1024
_BROKEN = (OSError, EOFError, asyncio.LimitOverrunError)


class Closed(Exception):
    """The connection ended before the answer was complete. `begun`: a part of the answer had come."""

    def __init__(self, message: str, *, begun: bool = False) -> None:
        super().__init__(message)
        self.begun = begun


class NotListening(Closed):
    """The port accepts no connection."""


@dataclass(frozen=True)
class Answer:
    """A complete answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the server closes the connection after this answer."""
        return self.headers.get("connection", "").lower() == "close"


@dataclass(frozen=True)
class Pace:
    """A slow reader; `size` is the largest read in bytes."""

    bytes_per_second: float
    size: int


def request(method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str]) -> bytes:
    """A complete request."""
    fields = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


class Connection:
    """A connection to the service. `port` is the client's own port, `opened` the time of `time.monotonic`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.port: int = writer.get_extra_info("sockname")[1]
        self.opened = time.monotonic()

    @classmethod
    async def open(cls, port: int, *, receive_buffer: int | None = None) -> Self:
        """Connect to the service. A small `receive_buffer` makes a slow reader felt by the server at once. Raises
        Closed."""
        endpoint = socket.socket()
        endpoint.setblocking(False)
        if receive_buffer is not None:
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(endpoint, ("127.0.0.1", port))
            return cls(*await asyncio.open_connection(sock=endpoint, limit=_READ if receive_buffer is None else 4096))
        except ConnectionRefusedError as error:
            endpoint.close()
            raise NotListening("the port accepts no connection") from error
        except OSError as error:
            endpoint.close()
            raise Closed(f"connecting: {error}") from error

    async def send(self, data: bytes) -> None:
        """Send bytes. Raises Closed."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise Closed(f"sending: {type(error).__name__}") from error

    async def answer(self, pace: Pace | None = None) -> Answer:
        """The next answer. Raises Closed if the connection ends before it is complete, and ValueError if it is not
        HTTP."""
        begun = False
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status_line, *lines = head[:-4].split("\r\n")
            pairs = (line.partition(":") for line in lines)
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            begun = True
            return Answer(int(status_line.split()[1]), headers, await self._body(headers, pace))
        except _BROKEN as error:
            part = "body" if begun else "head"
            raise Closed(f"reading the {part} of the answer: {type(error).__name__}", begun=begun) from error

    async def piece(self) -> bytes:
        """Any bytes that have come, at least one. Raises Closed."""
        try:
            if data := await self._reader.read(_READ):
                return data
        except OSError as error:
            raise Closed(f"reading: {type(error).__name__}") from error
        raise Closed("the server closed the connection")

    async def _body(self, headers: Mapping[str, str], pace: Pace | None) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            return await self._chunks(pace)
        if "content-length" in headers:
            return await self._exactly(int(headers["content-length"]), pace)
        return await self._reader.read()

    async def _chunks(self, pace: Pace | None) -> bytes:
        content = bytearray()
        while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
            content += await self._exactly(size, pace)
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return bytes(content)

    async def _exactly(self, size: int, pace: Pace | None) -> bytes:
        if pace is None:
            return await self._reader.readexactly(size)
        content = bytearray()
        while len(content) < size:
            part = await self._reader.readexactly(min(pace.size, size - len(content)))
            content += part
            await asyncio.sleep(len(part) / pace.bytes_per_second)
        return bytes(content)

    def close(self) -> None:
        """Close the connection; unread bytes make it a reset, as of a client that ends."""
        with contextlib.suppress(RuntimeError, OSError):
            self._writer.close()
