"""The storages and tensors of torch's files as buffers of bytes, without torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from app.importers.formats.bounds import Bounds
from app.importers.formats.refusals import TooLarge, Unreadable

_TYPES = {
    "Double": ("F64", 8),
    "Float": ("F32", 4),
    "Half": ("F16", 2),
    "BFloat16": ("BF16", 2),
    "Long": ("I64", 8),
    "Int": ("I32", 4),
    "Short": ("I16", 2),
    "Char": ("I8", 1),
    "Byte": ("U8", 1),
    "Bool": ("BOOL", 1),
}
_DTYPES = {
    "float64": "Double",
    "double": "Double",
    "float32": "Float",
    "float": "Float",
    "float16": "Half",
    "half": "Half",
    "bfloat16": "BFloat16",
    "int64": "Long",
    "long": "Long",
    "int32": "Int",
    "int": "Int",
    "int16": "Short",
    "int8": "Char",
    "uint8": "Byte",
    "bool": "Bool",
}


@dataclass(frozen=True)
class NumberType:
    """A number type: its name in safetensors and its size in bytes. Without a name: bytes of any type."""

    name: str | None
    size: int


UNTYPED = NumberType(None, 1)


def storage_type(name: str) -> NumberType | None:
    """The type of a class such as `FloatStorage`; None for other names."""
    if name in ("UntypedStorage", "_UntypedStorage"):
        return UNTYPED
    found = _TYPES.get(name.removesuffix("Storage")) if name.endswith("Storage") else None
    return NumberType(*found) if found else None


def dtype(name: str) -> NumberType | None:
    """The type of a name such as `float32` in torch; None for other names."""
    found = _DTYPES.get(name)
    return NumberType(*_TYPES[found]) if found else None


@dataclass(eq=False)
class Storage:
    """`count` numbers. `data` may be filled after tensors were made of it."""

    type: NumberType
    count: int
    data: bytearray


@dataclass(eq=False)
class TensorView:
    """A tensor: a shape over a storage, in numbers of `type`."""

    type: NumberType
    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def content(self) -> bytes:
        """Its numbers, contiguous."""
        size = self.type.size
        numbers = np.frombuffer(self.storage.data, np.dtype(f"V{size}"))
        view = np.lib.stride_tricks.as_strided(
            numbers[self.offset :], self.shape, tuple(stride * size for stride in self.strides), writeable=False
        )
        return view.tobytes()


class Views:
    """Makes tensors, and counts the bytes that they declare."""

    def __init__(self, bounds: Bounds) -> None:
        self._left = bounds.tensors

    def count(self, size: int) -> None:
        """Count bytes of something else. Raises TooLarge."""
        if size > self._left:
            raise TooLarge("its arrays take more bytes than a file of its size can hold")
        self._left -= size

    def make(self, storage: Any, offset: Any, shape: Any, strides: Any, kind: NumberType | None = None) -> TensorView:
        """Allocates nothing. Raises Unreadable or TooLarge."""
        if not isinstance(storage, Storage):
            raise Unreadable("a tensor has no storage")
        kind = kind or storage.type
        if kind.name is None:
            raise Unreadable("a tensor has no number type")
        numbers = [offset, *_whole(shape), *_whole(strides)]
        if len(shape) != len(strides) or any(type(n) is not int or not 0 <= n < 2**62 for n in numbers):
            raise Unreadable("a tensor has an impossible shape")
        count = prod(shape)
        if count * kind.size > self._left:
            raise TooLarge(
                f"its tensors declare more bytes than a file of its size can hold: one has shape {tuple(shape)}"
            )
        self.count(count * kind.size)
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True)) if count else offset
        if (last + 1 if count else last) * kind.size > len(storage.data):
            raise Unreadable(f"a tensor of shape {tuple(shape)} reaches past the end of its storage")
        return TensorView(kind, storage, offset, tuple(shape), tuple(strides))


def _whole(values: Any) -> Sequence[Any]:
    if not isinstance(values, tuple | list) or len(values) > 8:
        raise Unreadable("a tensor has an impossible shape")
    return values


def checked_reference(reference: Any, length: int) -> tuple[Any, ...]:
    """A reference of torch's pickles to a storage: ("storage", type, key, device, count, ...). Raises Unreadable."""
    if not isinstance(reference, tuple) or len(reference) < length or reference[0] != "storage":
        raise Unreadable("it refers to something that is not a storage")
    kind, key, count = reference[1], reference[2], reference[4]
    if not isinstance(kind, NumberType) or not isinstance(key, str) or type(count) is not int or count < 0:
        raise Unreadable("it refers to an unknown kind of storage")
    return reference
