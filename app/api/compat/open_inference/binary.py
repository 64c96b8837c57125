"""The binary tensor data extension of the Open Inference Protocol: raw tensors after the JSON."""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.errors import InputError

HEADER = "Inference-Header-Content-Length"
OCTETS = "application/octet-stream"
_LENGTH = struct.Struct("<I")  # before each element of BYTES
_FLOAT = 4  # bytes of an element of FP32


def split(content: bytes, header: str | None) -> tuple[bytes, memoryview]:
    """The JSON of a body, and the binary data after it, which is empty without the header. Raises InputError."""
    if header is None:
        return content, memoryview(b"")
    if not (header.isascii() and header.isdigit() and len(header) < 12):
        raise InputError(f"{HEADER} is {header[:40]!r}; send the number of bytes of the JSON")
    length = int(header)
    if length > len(content):
        raise InputError(
            f"{HEADER} is {length}, but the whole body has {len(content)} bytes; send the length of the JSON"
        )
    return content[:length], memoryview(content)[length:]


def unpack_bytes(data: memoryview, count: int, name: str) -> list[bytes]:
    """`count` elements of BYTES: each is its length (4 bytes, little-endian) and its content. Raises InputError."""
    items: list[bytes] = []
    place = 0
    for index in range(count):
        begin = place + _LENGTH.size
        if begin > len(data):
            raise InputError(f"{name} ends before element {index} of {count}; send as many elements as its shape says")
        (length,) = _LENGTH.unpack_from(data, place)
        place = begin + length
        if place > len(data):
            raise InputError(
                f"element {index} of {name} should have {length} bytes, but {len(data) - begin} are left: send each "
                "element as its length (4 bytes, little-endian) and its content"
            )
        items.append(bytes(data[begin:place]))
    if place != len(data):
        raise InputError(f"{name} has {len(data) - place} bytes after its {count} elements; leave them out")
    return items


def pack_bytes(items: Sequence[str]) -> bytes:
    """Elements of BYTES."""
    parts: list[bytes] = []
    for item in items:
        content = item.encode()
        parts += (_LENGTH.pack(len(content)), content)
    return b"".join(parts)


def unpack_floats(data: memoryview, name: str) -> NDArray[np.float32]:
    """Elements of FP32, little-endian. Raises InputError."""
    if len(data) % _FLOAT:
        raise InputError(f"{name} has {len(data)} bytes; an element of FP32 has {_FLOAT}")
    return np.frombuffer(data, "<f4")


def pack_floats(values: Sequence[float]) -> bytes:
    """Elements of FP32, little-endian."""
    return np.asarray(values, "<f4").tobytes()
