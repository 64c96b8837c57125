"""The attention of decoded tokens: arrays until they are JSON, since there may be too many weights to be objects."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from app.engine.protocol import Table
from app.json_pieces import JsonArray, JsonInPieces, json_pieces
from app.tasks.answers.number_rows import NumberRows
from app.text.tokenizer import Piece

_DIGITS = 5


class TextAttention(JsonInPieces, frozen=True, eq=False):
    """A row of weights per token of `target`, a column per token of `source`."""

    source: Sequence[Piece]
    target: Sequence[str]
    weights: Table

    def json(self) -> Iterator[bytes]:
        """See `JsonInPieces.json`."""
        weights = NumberRows(self.weights, _DIGITS)
        return json_pieces({"source": JsonArray(self.source), "target": JsonArray(self.target), "weights": weights})


class GridAttention(JsonInPieces, frozen=True, eq=False):
    """A square grid of weights over the image per token of `target`."""

    target: Sequence[str]
    weights: Table

    def json(self) -> Iterator[bytes]:
        """See `JsonInPieces.json`."""
        side = math.isqrt(self.weights.columns)  # the feature map of a square image is square
        grids = NumberRows(self.weights, _DIGITS, width=side)
        return json_pieces({"rows": side, "columns": side, "target": JsonArray(self.target), "weights": grids})


def join_attention(parts: Sequence[TextAttention]) -> TextAttention:
    """The attention of several sentences: each attends to its own source alone."""
    tables = [np.frombuffer(part.weights.numbers, np.float32).reshape(-1, len(part.source)) for part in parts]
    weights = np.zeros((sum(map(len, tables)), sum(table.shape[1] for table in tables)), np.float32)
    row = column = 0
    for table in tables:  # of a sentence without tokens it has no rows, but columns
        height, width = table.shape
        weights[row : row + height, column : column + width] = table
        row, column = row + height, column + width
    source = [piece for part in parts for piece in part.source]
    target = [spelling for part in parts for spelling in part.target]
    return TextAttention(source, target, Table(column, weights.tobytes()))
