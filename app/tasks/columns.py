"""Columns: inputs and results as interfaces of arrays carry them."""

from dataclasses import dataclass
from typing import Literal

ANY = -1  # a dimension of any size


@dataclass(frozen=True)
class Column:
    """One value of each input or result: a text, the bytes of a file, or an array of numbers of `shape`.

    A column of numbers with an empty shape has one number each. `sides` names the dimensions of any size.
    """

    name: str
    type: Literal["text", "file", "uint8", "float32"]
    shape: tuple[int, ...] = ()
    sides: tuple[str, ...] = ()
