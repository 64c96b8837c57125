"""Arrays and numbers of numpy: those in pickles, where functions of numpy make them, and those of `numpy.save`."""

import re
from math import prod
from typing import Any

import numpy as np

from app.importers.formats.refusals import TooLarge, Unreadable
from app.importers.formats.storages import NumberType, Storage, TensorView, Views
from app.importers.formats.stubs import Stub

_TYPES = {"f2": "F16", "f4": "F32", "f8": "F64", "i1": "I8", "i2": "I16", "i4": "I32", "i8": "I64", "u1": "U8"}
_WIDER = {"u2": "i4", "u4": "i8", "u8": "i8"}
_CODE = re.compile(r"([<>=|]?)([fiubUSO])(\d{0,6})")
_LONGEST = 8  # dimensions


def tensor_of(numbers: Any, views: Views) -> TensorView | None:
    """An array of numpy as a tensor; None if its type is not one of the known number types."""
    kind = numbers.dtype
    code = f"{kind.kind}{kind.itemsize}"
    code = _WIDER.get(code, code)
    if kind.kind == "b":
        made, numbers = NumberType("BOOL", 1), numbers.astype(np.uint8)
    elif code in _TYPES:
        made, numbers = NumberType(_TYPES[code], int(code[1])), numbers.astype(np.dtype(f"<{code}"), copy=False)
    else:
        return None
    return contiguous(made, numbers.shape, numbers.tobytes(), views)


def contiguous(kind: NumberType, shape: tuple[int, ...], content: bytes, views: Views) -> TensorView:
    strides = tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))
    return views.make(Storage(kind, prod(shape), bytearray(content)), 0, shape, strides)


class DType(Stub):
    """`numpy.dtype`: a kind of number or text, its size, and the order of its bytes."""

    name = "numpy.dtype"

    def __init__(self, code: Any) -> None:
        super().__init__()
        match = _CODE.fullmatch(code) if isinstance(code, str) else None
        order, self.kind, size = match.groups() if match else ("", "", "")
        self.size = int(size or 0)
        self._order = ">" if order == ">" else "<"

    def set_state(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self._order = ">" if state[1] == ">" else "<"

    @property
    def bytes(self) -> int:
        return 4 * self.size if self.kind == "U" else self.size

    @property
    def known(self) -> bool:
        """Whether it is a type of numbers or texts. Those of a size that numpy does not have are not."""
        if self.kind in ("U", "S"):
            return 0 < self.size < 100_000
        code = f"{self.kind}{self.size}"
        return code in _TYPES or code in _WIDER or code == "b1"

    def of_numpy(self) -> Any:
        return np.dtype(f"{self._order}{self.kind}{self.size}")


class Array(Stub):
    """An array in a pickle. Its content comes after it was made, and is a tensor, or texts and objects in lists."""

    name = "numpy.ndarray"

    def __init__(self, views: Views) -> None:
        super().__init__()
        self._views = views
        self.content: Any = None

    def set_state(self, state: Any) -> None:
        """`state` is a version, the shape, the type, whether the first index runs fastest, and the numbers."""
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise Unreadable("an array of numpy is damaged")
        self.fill(*state[-4:])

    def fill(self, shape: Any, kind: Any, fortran: Any, content: Any) -> None:
        if (
            not isinstance(shape, tuple)
            or len(shape) > _LONGEST
            or any(type(length) is not int or not 0 <= length < 2**40 for length in shape)
        ):
            raise Unreadable("an array of numpy has an impossible shape")
        content = content.encode("latin1") if isinstance(content, str) else content
        if isinstance(content, list):
            self.content = _nested(content, shape)
        elif not isinstance(kind, DType) or not kind.known or not isinstance(content, bytes | bytearray):
            self.content = None  # dates, records: not needed
        elif prod(shape) * kind.bytes != len(content):
            raise Unreadable(f"an array of numpy has shape {shape}, and its content has {len(content)} bytes")
        else:
            self.content = self._filled(shape, kind, bool(fortran), content)

    def _filled(self, shape: tuple[int, ...], kind: DType, fortran: bool, content: bytes | bytearray) -> Any:
        numbers = np.frombuffer(content, kind.of_numpy()).reshape(shape, order="F" if fortran else "C")
        if kind.kind not in ("U", "S"):
            return tensor_of(numbers, self._views)
        self._views.count(8 * len(content))
        texts = numbers.astype(f"U{kind.size}") if kind.kind == "S" else numbers
        try:
            return texts.tolist()
        except (ValueError, OverflowError) as error:
            raise Unreadable("an array of numpy has text that is not Unicode") from error


def unwrapped(value: Any) -> Any:
    """The content of an array; of an array of one array, that of the inner one. It may contain itself."""
    for _ in range(_LONGEST):
        if not isinstance(value, Array):
            return value
        value = value.content
    raise TooLarge("its arrays are nested too deeply")


def scalar(kind: Any, content: Any = None) -> Any:
    """`numpy.core.multiarray.scalar`: a number of Python, or a text."""
    content = content.encode("latin1") if isinstance(content, str) else content
    if not isinstance(kind, DType) or not kind.known or not isinstance(content, bytes):
        return None
    if len(content) != kind.bytes:
        raise Unreadable("a number of numpy has the wrong size")
    made = np.frombuffer(content, kind.of_numpy())[0].item()
    return made.decode("latin1") if isinstance(made, bytes) else made


def _nested(items: list[Any], shape: tuple[int, ...]) -> Any:
    """Objects in lists of lists; without a dimension, the object itself."""
    if prod(shape) != len(items):
        raise Unreadable(f"an array of numpy has shape {shape} and {len(items)} objects")
    if not shape:
        return items[0]
    if not items:
        return []
    made: Any = items
    for length in reversed(shape[1:]):
        made = [made[at : at + length] for at in range(0, len(made), length)]
    return made


_MAGIC = b"\x93NUMPY"
_HEADER = re.compile(
    rb"\{\s*'descr':\s*'(?P<kind>[^']{1,20})',\s*'fortran_order':\s*(?P<fortran>True|False),\s*"
    rb"'shape':\s*\((?P<shape>[\d,\sL]{0,200})\),?\s*\}\s*"
)


def is_saved(content: bytes) -> bool:
    return content.startswith(_MAGIC)


def saved_header(content: bytes) -> tuple[DType, tuple[int, ...], bool, int]:
    """The header of `numpy.save`: type, shape, whether the first index runs fastest, and where the numbers begin."""
    wide = content[6:7] > b"\x01"
    start = 12 if wide else 10
    length = int.from_bytes(content[8:start], "little")
    match = _HEADER.fullmatch(content[start : start + length])
    if match is None:
        raise Unreadable("it is an array of numpy of a type that is not a plain number or text, or it is damaged")
    numbers = [int(number) for number in re.findall(rb"\d{1,18}", match["shape"])]
    if prod(numbers) > 2**60:
        raise TooLarge(f"its array has the shape {tuple(numbers)}")
    return DType(match["kind"].decode("latin1")), tuple(numbers), match["fortran"] == b"True", start + length
