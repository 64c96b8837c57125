"""Tables of numbers as JSON: arrays of rows."""

from collections.abc import Iterator

import numpy as np

from app.engine.protocol import Table
from app.json_pieces import JsonInPieces, json_array

_PIECE = 2048  # numbers that are encoded at once


class NumberRows(JsonInPieces, frozen=True, eq=False):
    """The rows of a table, rounded to `digits` if they are given. With a `width`, a row is an array of such rows."""

    table: Table
    digits: int | None = None
    width: int | None = None

    def json(self) -> Iterator[bytes]:
        """See `JsonInPieces.json`."""
        return json_array(self._parts())

    def _parts(self) -> Iterator[list[object]]:
        columns = max(1, self.table.columns)
        rows = np.frombuffer(self.table.numbers, np.float32).reshape(-1, columns)
        step = max(1, _PIECE // columns)
        for first in range(0, len(rows), step):
            exact = rows[first : first + step].astype(np.float64)
            numbers = exact if self.digits is None else exact.round(self.digits)
            yield (numbers if self.width is None else numbers.reshape(len(numbers), -1, self.width)).tolist()
