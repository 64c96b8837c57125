"""Messages of Protocol Buffers as fields with numbers, without a schema and without recursion."""

import struct
from collections.abc import Iterator
from typing import Any

from app.importers.formats.refusals import Unreadable

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # how the value of a field is written
_LONGEST_VARINT = 10


class Message:
    """The fields of a message: by number, the values in their order. Bytes are numbers, texts or messages."""

    def __init__(self, content: bytes) -> None:
        self._fields: dict[int, list[tuple[int, Any]]] = {}
        for number, wire, value in fields(content):
            self._fields.setdefault(number, []).append((wire, value))

    @property
    def numbers(self) -> set[int]:
        return set(self._fields)

    def whole(self, number: int, default: int = 0) -> int:
        """The last value of a whole number, with a sign."""
        for wire, value in reversed(self._fields.get(number, ())):
            if wire == VARINT:
                return _signed(value)
        return default

    def blocks(self, number: int) -> list[bytes]:
        return [value for wire, value in self._fields.get(number, ()) if wire == BYTES]

    def texts(self, number: int) -> list[str]:
        return [value.decode("utf8", "replace") for value in self.blocks(number)]

    def text(self, number: int) -> str:
        return next(reversed(self.texts(number)), "")

    def messages(self, number: int) -> "Iterator[Message]":
        return (Message(block) for block in self.blocks(number))

    def message(self, number: int) -> "Message | None":
        return next(reversed(list(self.messages(number))), None)

    def wholes(self, number: int) -> list[int]:
        """Whole numbers, each in a field of its own or many in one."""
        made: list[int] = []
        for wire, value in self._fields.get(number, ()):
            if wire == VARINT:
                made.append(_signed(value))
            elif wire == BYTES:
                at = 0
                while at < len(value):
                    found, at = _varint(value, at)
                    made.append(_signed(found))
        return made

    def fixed(self, number: int) -> bytes:
        """Numbers of 4 or of 8 bytes, side by side."""
        return b"".join(value for wire, value in self._fields.get(number, ()) if wire != VARINT)

    def float(self, number: int) -> float:
        content = self.fixed(number)
        return struct.unpack("<f", content[-4:])[0] if len(content) >= 4 else 0.0


def fields(content: bytes) -> Iterator[tuple[int, int, Any]]:
    """Number, wire type and value of each field. Raises Unreadable."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint(content, at)
            yield number, wire, value
            continue
        if wire == BYTES:
            size, at = _varint(content, at)
        else:
            size = {FIXED64: 8, FIXED32: 4}.get(wire, -1)
        if size < 0 or number == 0 or at + size > len(content):
            raise Unreadable("it is damaged or cut short: a field of it reaches past its end")
        yield number, wire, content[at : at + size]
        at += size


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_LONGEST_VARINT):
        if at >= len(content):
            break
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at
    raise Unreadable("it is damaged or cut short: a number of it has no end")


def _signed(value: int) -> int:
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value
