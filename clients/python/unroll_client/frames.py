"""Frames of a WebSocket as a client writes and reads them (RFC 6455, section 5). No I/O."""

import base64
import hashlib
import os
from collections.abc import Iterator
from enum import IntEnum

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3
_FINAL = _MASKED = 0x80
_SHORT, _TWO_BYTES, _EIGHT_BYTES = 126, 126, 127  # lengths below 126 are in the second byte


class Opcode(IntEnum):
    """What a frame is."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


def new_key() -> str:
    """The key of a handshake."""
    return base64.b64encode(os.urandom(16)).decode()


def accepted(key: str) -> str:
    """The answer of a server to the key of a handshake."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def frame(opcode: Opcode, content: bytes) -> bytes:
    """A whole message or a control frame, masked as a client must."""
    size = len(content)
    if size < _SHORT:
        head = bytes([_FINAL | opcode, _MASKED | size])
    elif size < 2**16:
        head = bytes([_FINAL | opcode, _MASKED | _TWO_BYTES]) + size.to_bytes(2)
    else:
        head = bytes([_FINAL | opcode, _MASKED | _EIGHT_BYTES]) + size.to_bytes(8)
    mask = os.urandom(4)
    pad = (mask * (size // 4 + 1))[:size]
    return head + mask + (int.from_bytes(content) ^ int.from_bytes(pad)).to_bytes(size)


class FrameReader:
    """Whole messages and control frames out of the bytes of a server."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._message = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Opcode, bytes]]:
        """The messages, as TEXT, and the control frames that `data` completes. Raises ValueError for an opcode that
        does not exist."""
        self._data += data
        while (found := self._next()) is not None:
            is_last, opcode, content = found
            if opcode >= Opcode.CLOSE:
                yield opcode, content
                continue
            self._message += content
            if is_last:
                message, self._message = bytes(self._message), bytearray()
                yield Opcode.TEXT, message

    def _next(self) -> tuple[bool, Opcode, bytes] | None:
        data = self._data
        if len(data) < 2:
            return None
        size, begin = data[1] & 0x7F, 2
        if size >= _SHORT:
            begin += 2 if size == _TWO_BYTES else 8
            if len(data) < begin:
                return None
            size = int.from_bytes(data[2:begin])
        if len(data) < begin + size:
            return None
        is_last, opcode = bool(data[0] & _FINAL), Opcode(data[0] & 0x0F)
        content = bytes(data[begin : begin + size])
        del data[: begin + size]
        return is_last, opcode, content
