"""JSON of answers that are too large to be encoded in one turn of the event loop: pieces, with turns for other work."""

from abc import ABCMeta, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from pydantic import PlainSerializer

from app.turns import Pauses

_BLOCK = 65_536  # bytes that are sent together, at least
_VALUES = 512  # that are encoded at once
_encode = msgspec.json.Encoder().encode
AS_IT_IS = PlainSerializer(lambda value: value)
"""For a member of a pydantic model that is or contains `JsonInPieces`: `model_dump` keeps it as it is."""


class _AbstractStruct(msgspec.StructMeta, ABCMeta):
    """The type of a Struct with abstract methods."""


class JsonInPieces(msgspec.Struct, frozen=True, eq=False, metaclass=_AbstractStruct):
    """A value whose JSON is made piece by piece, each in less than a millisecond."""

    @abstractmethod
    def json(self) -> Iterator[bytes]:
        """The pieces of its JSON."""


class JsonArray(JsonInPieces, frozen=True, eq=False):
    """An array of small values, of which a few hundred are encoded at once."""

    values: Sequence[Any]

    def json(self) -> Iterator[bytes]:
        """See `JsonInPieces.json`."""
        return json_array(self.values[first : first + _VALUES] for first in range(0, len(self.values), _VALUES))


def json_pieces(value: Any) -> Iterator[bytes]:
    """The JSON of a value that may contain `JsonInPieces`."""
    if isinstance(value, JsonInPieces):
        yield from value.json()
    elif isinstance(value, dict) and value:
        for place, (name, member) in enumerate(value.items()):
            yield (b"," if place else b"{") + _encode(name) + b":"
            yield from json_pieces(member)
        yield b"}"
    elif isinstance(value, list) and value:
        for place, item in enumerate(value):
            yield b"," if place else b"["
            yield from json_pieces(item)
        yield b"]"
    else:
        yield _encode(value)


def json_array(parts: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """One array with the items of all parts; a part is encoded at once."""
    before = b"["
    for part in parts:
        if part:
            yield before + _encode(part)[1:-1]
            before = b","
    yield b"]" if before == b"," else b"[]"


async def blocks_of(pieces: Iterable[bytes]) -> list[bytes]:
    """The pieces, joined into blocks. The event loop does other work in between."""
    pauses = Pauses()
    blocks: list[bytes] = []
    block: list[bytes] = []
    size = 0
    for piece in pieces:
        block.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            blocks.append(b"".join(block))
            block, size = [], 0
        await pauses.pause()
    return [*blocks, b"".join(block)]
