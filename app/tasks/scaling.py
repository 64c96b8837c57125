"""Columns of numbers to the numbers that a network reads, and back: `log1p`, then an affine scaling."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.store.series_input import Feature

Rows = NDArray[np.float64]  # (steps, columns)
Scaled = NDArray[np.float32]  # (steps, columns)


def scaled(rows: Rows, columns: Sequence[Feature]) -> Scaled:
    """Rows as the network reads them. A number that it cannot read becomes NaN or infinite."""
    shift, scale = _affine(columns)
    with np.errstate(all="ignore"):
        return ((_with_logarithms(rows, columns) - shift) / scale).astype(np.float32)


def unscaled(outputs: Scaled, columns: Sequence[Feature]) -> Rows:
    """Outputs of the network in the units of the data."""
    shift, scale = _affine(columns)
    rows = outputs.astype(np.float64) * scale + shift
    logarithmic = [place for place, column in enumerate(columns) if column.log1p]
    with np.errstate(over="ignore"):
        rows[:, logarithmic] = np.expm1(rows[:, logarithmic])
    return rows


def middles(columns: Sequence[Feature]) -> Rows:
    """One row: the mean of each column's scaling, or the middle of its range, in the units of the data."""
    middle = [column.scaling.middle if column.scaling is not None else 0.0 for column in columns]
    return np.array([np.expm1(one) if column.log1p else one for one, column in zip(middle, columns, strict=True)])


def _with_logarithms(rows: Rows, columns: Sequence[Feature]) -> Rows:
    logarithmic = [place for place, column in enumerate(columns) if column.log1p]
    if not logarithmic:
        return rows
    rows = rows.copy()
    rows[:, logarithmic] = np.log1p(rows[:, logarithmic])
    return rows


def _affine(columns: Sequence[Feature]) -> tuple[Rows, Rows]:
    shift, scale = np.array([column.affine for column in columns], dtype=np.float64).reshape(-1, 2).T
    return shift, scale
