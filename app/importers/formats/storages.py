"""Storages and tensors as buffers of bytes: what torch's files hold, without torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from app.importers.untrusted.bounds import Bounds
from app.importers.untrusted.refusals import TooLarge, Unreadable

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
    """A type of numbers by its name in safetensors, and its size in bytes. Without a name it is bytes of any type."""

    name: str | None
    size: int


UNTYPED = NumberType(None, 1)


def storage_type(name: str) -> NumberType | None:
    """Of a class such as `FloatStorage`, None if it is none."""
    if name in ("UntypedStorage", "_UntypedStorage"):
        return UNTYPED
    found = _TYPES.get(name.removesuffix("Storage")) if name.endswith("Storage") else None
    return NumberType(*found) if found else None


def dtype(name: str) -> NumberType | None:
    """Of a `torch.float32`, None if there is no such."""
    found = _DTYPES.get(name)
    return NumberType(*_TYPES[found]) if found else None


@dataclass(eq=False)
class Storage:
    """`count` numbers; `data` may be filled in after tensors were made of it."""

    type: NumberType
    count: int
    data: bytearray


@dataclass(eq=False)
class TensorView:
    """A tensor: a shape laid over a storage, in numbers of `type`."""

    type: NumberType
    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def content(self) -> bytes:
        """Its numbers one after the other."""
        size = self.type.size
        numbers = np.frombuffer(self.storage.data, np.dtype(f"V{size}"))
        view = np.lib.stride_tricks.as_strided(
            numbers[self.offset :], self.shape, tuple(stride * size for stride in self.strides), writeable=False
        )
        return view.tobytes()


class Views:
    """Makes tensors, and counts what they declare."""

    def __init__(self, bounds: Bounds) -> None:
        self._left = bounds.tensors

    def make(self, storage: Any, offset: Any, shape: Any, strides: Any, kind: NumberType | None = None) -> TensorView:
        """Nothing is allocated. Raises Unreadable or TooLarge."""
        if not isinstance(storage, Storage):
            raise Unreadable("a tensor has no storage")
        kind = kind or storage.type
        if kind.name is None:
            raise Unreadable("a tensor does not say of which number type it is")
        numbers = [offset, *_whole(shape), *_whole(strides)]
        if len(shape) != len(strides) or any(type(n) is not int or not 0 <= n < 2**62 for n in numbers):
            raise Unreadable("a tensor has a shape that cannot be")
        count = prod(shape)
        if count * kind.size > self._left:
            raise TooLarge(
                f"its tensors declare more bytes than a file of this size can hold: one has shape {tuple(shape)}"
            )
        self._left -= count * kind.size
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True)) if count else offset
        if (last + 1 if count else last) * kind.size > len(storage.data):
            raise Unreadable(f"a tensor of shape {tuple(shape)} reaches past the end of its storage")
        return TensorView(kind, storage, offset, tuple(shape), tuple(strides))


def _whole(values: Any) -> Sequence[Any]:
    if not isinstance(values, tuple | list) or len(values) > 8:
        raise Unreadable("a tensor has a shape that cannot be")
    return values
