"""Long JSON to Python values, in pieces between which other threads run.

The parser holds the interpreter until it has read its whole text: seconds for some megabytes of short lists, in which
the event loop could answer nothing. Members and items of a long text are therefore parsed some at a time.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

_PIECE = 65_536  # bytes that are parsed, or searched, at once
_DEEPEST = 16  # long lists and objects within each other: a tensor has 8 dimensions
_CLOSING = {b"{": b"}", b"[": b"]"}
_SPACE = b" \t\n\r"


def long_json(content: bytes, *, piece: int = _PIECE) -> Any:
    """The value of a JSON text, of which about `piece` bytes are parsed at once. Raises ValueError."""
    plain = content
    if b"\\" in content:  # an escaped quotation mark ends no string
        plain = content.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    return _Text(content, plain, piece).value(0, len(content), 0)


class _Text:
    """A JSON text. `plain` has no escaped quotation marks, and the same length."""

    def __init__(self, content: bytes, plain: bytes, piece: int) -> None:
        self._content = content
        self._piece = piece
        self._bytes = np.frombuffer(plain, np.uint8)

    def value(self, start: int, end: int, depth: int) -> Any:
        """The value in a range, within `depth` others."""
        if end - start <= self._piece:
            return self._parsed(start, end)
        first = end - len(self._content[start:end].lstrip(_SPACE))
        last = start + len(self._content[start:end].rstrip(_SPACE)) - 1
        closing = _CLOSING.get(self._content[first : first + 1])
        if closing is None:
            return self._parsed(start, end)
        if self._content[last : last + 1] != closing:
            raise ValueError(f"expected {closing.decode()!r} at the end of the text or before it")
        if depth == _DEEPEST:
            raise ValueError(f"more than {_DEEPEST} long lists and objects are within each other")
        return self._list(first, last, depth) if closing == b"]" else self._object(first, last, depth)

    def _list(self, first: int, last: int, depth: int) -> list[Any]:
        items: list[Any] = []
        for start, end, is_one in self._groups(first + 1, last):
            if is_one:
                items.append(self.value(start, end, depth + 1))
            else:
                items += self._parsed(start, end, b"[", b"]")
        return items

    def _object(self, first: int, last: int, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for start, end, is_one in self._groups(first + 1, last):
            if is_one:
                colon = next(self._outside(start, end, ord(":")), end)
                (name,) = self._parsed(start, colon, b"{", b":0}")
                members[name] = self.value(colon + 1, end, depth + 1)
            else:
                members |= self._parsed(start, end, b"{", b"}")
        return members

    def _groups(self, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """The ranges of items or members that are parsed together, and whether it is a single, long one."""
        begin = start  # of the group
        before = start  # of the last item
        for comma in chain(self._outside(start, end, ord(",")), (end,)):
            if comma - before > self._piece:
                if begin < before:
                    yield begin, before - 1, False
                yield before, comma, True
                begin = comma + 1
            elif comma - begin > self._piece:
                yield begin, comma, False
                begin = comma + 1
            before = comma + 1
        if begin < end:
            yield begin, end, False

    def _outside(self, start: int, end: int, sign: int) -> Iterator[int]:
        """The places of a sign in a range, outside of strings and of the lists and objects in it."""
        in_string, depth = False, 0
        for place in range(start, end, self._piece):
            part = self._bytes[place : min(place + self._piece, end)]
            within = np.logical_xor.accumulate(part == ord('"')) ^ in_string
            depths = _depths(part, within) + depth
            yield from (place + np.flatnonzero((part == sign) & ~within & (depths == 0))).tolist()
            in_string, depth = bool(within[-1]), int(depths[-1])
        if in_string or depth:
            raise ValueError("a string, a list or an object does not end")

    def _parsed(self, start: int, end: int, before: bytes = b"", after: bytes = b"") -> Any:
        text = self._content[start:end]
        if before and not text.strip(_SPACE):
            raise ValueError(f"expected a value at byte {start}")
        try:
            return from_json(before + text + after)
        except ValueError as error:
            what, _, _ = str(error).partition(" at line ")
            raise ValueError(f"{what} in the bytes {start} to {end}") from None


def _depths(part: NDArray[np.uint8], within: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The lists and objects that begin before each byte or at it, and do not end there."""
    changes = np.zeros(len(part), np.int8)
    changes[(part | 0x20) == ord("{")] = 1  # as is [
    changes[(part | 0x20) == ord("}")] = -1  # as is ]
    changes[within] = 0
    return np.cumsum(changes, dtype=np.int32)
