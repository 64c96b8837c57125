"""Numbers in rows as JSON: arrays of rows."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from app.engine.protocol import Table
from app.json_pieces import JsonInPieces, json_array

_PIECE = 2048  # numbers that are encoded at once


class ArrayRows(JsonInPieces, frozen=True, eq=False):
    """The rows of an array (rows, columns), rounded to `digits` if they are given. With a `width`, a row is an array of
    such rows."""

    rows: NDArray[np.floating]
    digits: int | None = None
    width: int | None = None

    def json(self) -> Iterator[bytes]:
        """See `JsonInPieces.json`."""
        return json_array(self._parts())

    def _parts(self) -> Iterator[list[object]]:
        step = max(1, _PIECE // max(1, self.rows.shape[1]))
        for first in range(0, len(self.rows), step):
            exact = self.rows[first : first + step].astype(np.float64)
            numbers = exact if self.digits is None else exact.round(self.digits)
            yield (numbers if self.width is None else numbers.reshape(len(numbers), -1, self.width)).tolist()


class NumberRows(JsonInPieces, frozen=True, eq=False):
    """The rows of a table; the other members as in `ArrayRows`."""

    table: Table
    digits: int | None = None
    width: int | None = None

    def json(self) -> Iterator[bytes]:
        """See `JsonInPieces.json`."""
        return ArrayRows(array_of(self.table), self.digits, self.width).json()


def array_of(table: Table) -> NDArray[np.float32]:
    """The numbers of a table (rows, columns)."""
    return np.frombuffer(table.numbers, np.float32).reshape(-1, max(1, table.columns))
