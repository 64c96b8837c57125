"""Plain data from the child to its parent: a safetensors file, and a tree in msgpack that refers to its tensors."""

import json
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import msgspec

from app.importers.formats.allowed_calls import AllowedCall
from app.importers.formats.bounds import Bounds
from app.importers.formats.keys import in_short_time
from app.importers.formats.numpy_arrays import unwrapped
from app.importers.formats.refusals import TooLarge, Unreadable
from app.importers.formats.storages import NumberType, Storage, TensorView
from app.importers.formats.stubs import Stub, StubClass

TENSORS, TREE = "tensors.safetensors", "tree.msgpack"
_PLAIN = (str, int, float, bool, bytes, type(None))


def write(made: Any, folder: Path, bounds: Bounds) -> None:
    """Raises TooLarge or Unreadable."""
    writer = _Writer()
    _check(made, bounds)
    tree = writer.node(made)
    _write_tensors(writer.tensors, folder / TENSORS)
    folder.joinpath(TREE).write_bytes(msgspec.msgpack.encode(tree))


def _write_tensors(views: Sequence[TensorView], path: Path) -> None:
    """In the format of safetensors: the length of a header, the header in JSON, the numbers."""
    header, start = {}, 0
    for number, view in enumerate(views):
        end = start + prod(view.shape) * view.type.size
        header[str(number)] = {"dtype": view.type.name, "shape": view.shape, "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for view in views:
            file.write(view.content())


def _check(made: Any, bounds: Bounds) -> None:
    """Check the size before writing: a value that is referred to a hundred times is written a hundred times."""
    known: dict[int, tuple[int, int, int]] = {}

    def measure(value: Any, depth: int) -> tuple[int, int, int]:
        """Number of values, of characters, and levels of nesting, of a value at `depth`. Each distinct one is measured
        once."""
        value = unwrapped(value)
        if not isinstance(value, dict | list | tuple | set | frozenset | Stub):
            return 1, len(value) if isinstance(value, str | bytes | bytearray) else 0, 0
        if depth > bounds.depth:
            raise TooLarge(f"its values are nested more than {bounds.depth} deep")
        if id(value) not in known:
            parts = [measure(item, depth + 1) for item in _within(value)]
            nodes, characters = 1 + sum(part[0] for part in parts), sum(part[1] for part in parts)
            known[id(value)] = nodes, characters, 1 + max((part[2] for part in parts), default=0)
        nodes, characters, height = known[id(value)]
        if depth + height > bounds.depth:
            raise TooLarge(f"its values are nested more than {bounds.depth} deep")
        if nodes > bounds.nodes:
            raise TooLarge(f"it has more than {bounds.nodes} values, counted once per reference")
        if characters > bounds.tensors:
            raise TooLarge(f"its texts have more than {bounds.tensors} characters, counted once per reference")
        return known[id(value)]

    measure(made, 0)


def _within(value: Any) -> Iterator[Any]:
    if isinstance(value, Stub):
        yield from (value.args, value.state, value.items, value.entries)
    elif isinstance(value, dict):
        yield from value
        yield from value.values()
    else:
        yield from value


class _Writer:
    """Makes the tree, and collects the tensors that it refers to."""

    def __init__(self) -> None:
        self._numbers: dict[int, str] = {}
        self.tensors: list[TensorView] = []

    def node(self, value: Any) -> Any:
        value = unwrapped(value)
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            return str(value) if value.bit_length() < 10_000 else hex(value)  # Python limits the decimal digits
        if isinstance(value, str):
            return value.encode("utf8", "replace").decode("utf8")  # a lone surrogate has no encoding
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, list | set | frozenset):
            return {"list": [self.node(item) for item in value]}
        if isinstance(value, tuple):
            return {"tuple": [self.node(item) for item in value]}
        if isinstance(value, dict):
            return {"dict": self._pairs(value.items())}
        if isinstance(value, TensorView):
            return {"tensor": self._tensor(value)}
        if isinstance(value, Stub):
            return {
                "stub": value.name,
                "args": [self.node(item) for item in value.args],
                "state": self._pairs(value.state.items()),
                "items": [self.node(item) for item in value.items],
                "entries": self._pairs(value.entries.items()),
            }
        if isinstance(value, StubClass):
            return value.name
        if isinstance(value, AllowedCall | NumberType | Storage | bytearray | complex):
            return type(value).__name__
        raise Unreadable(f"it contains a {type(value).__name__}, which is not plain data")

    def _pairs(self, pairs: Any) -> list[Any]:
        return [[self.node(key), self.node(value)] for key, value in in_short_time(pairs)]

    def _tensor(self, view: TensorView) -> str:
        number = self._numbers.get(id(view))
        if number is None:
            number = self._numbers[id(view)] = str(len(self.tensors))
            self.tensors.append(view)
        return number
