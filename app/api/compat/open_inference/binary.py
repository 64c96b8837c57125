"""The binary tensor data extension of the Open Inference Protocol: tensors as they lie in memory, behind the JSON."""

import struct
from collections.abc import Sequence

from app.errors import InputError

HEADER = "Inference-Header-Content-Length"
OCTETS = "application/octet-stream"
_LENGTH = struct.Struct("<I")  # before each element of BYTES


def split(content: bytes, header: str | None) -> tuple[bytes, memoryview]:
    """The JSON of a body and the binary data behind it, of which there is none without the header. Raises
    InputError."""
    if header is None:
        return content, memoryview(b"")
    if not (header.isascii() and header.isdigit() and len(header) < 12):
        raise InputError(f"{HEADER} is {header[:40]!r}; send the number of bytes that the JSON has")
    length = int(header)
    if length > len(content):
        raise InputError(f"{HEADER} is {length}, but the whole body has {len(content)} bytes; send the JSON's length")
    return content[:length], memoryview(content)[length:]


def unpack_bytes(data: memoryview, count: int, name: str) -> list[bytes]:
    """`count` elements of BYTES: each its length, 4 bytes with the lowest first, and as many bytes. Raises
    InputError."""
    items: list[bytes] = []
    place = 0
    for index in range(count):
        begin = place + _LENGTH.size
        if begin > len(data):
            raise InputError(f"{name} ends before element {index} of {count}; its shape says how many there are")
        (length,) = _LENGTH.unpack_from(data, place)
        place = begin + length
        if place > len(data):
            raise InputError(
                f"element {index} of {name} should have {length} bytes, and {len(data) - begin} are left: each element "
                "is its length, 4 bytes with the lowest first, and then as many bytes"
            )
        items.append(bytes(data[begin:place]))
    if place != len(data):
        raise InputError(f"{name} has {len(data) - place} bytes behind its {count} elements; send none there")
    return items


def pack_bytes(items: Sequence[str]) -> bytes:
    """Elements of BYTES."""
    parts: list[bytes] = []
    for item in items:
        content = item.encode()
        parts += (_LENGTH.pack(len(content)), content)
    return b"".join(parts)


def pack_floats(values: Sequence[float]) -> bytes:
    """Elements of FP32, the lowest byte first."""
    return struct.pack(f"<{len(values)}f", *values)
