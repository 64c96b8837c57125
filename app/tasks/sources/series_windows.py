"""The windows of a series that a network reads, with missing numbers filled as the manifest says."""

from collections.abc import Sequence
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from app.store.series_input import SeriesInput
from app.tasks.scaling import middles

Windows = NDArray[np.float64]  # (windows, steps, features)


def windows_of(rows: NDArray[np.float64], starts: Sequence[int], unit: int, series: SeriesInput) -> Windows:
    """Windows of `unit` steps that begin at `starts`. A missing number that cannot be filled stays NaN.

    A window knows nothing of later rows: it is filled as if the series ended with it.
    """
    places = np.asarray(starts)[:, None] + np.arange(unit)  # (windows, steps)
    missing = np.isnan(rows)
    if not missing.any():
        return rows[places]
    match series.missing:
        case "refuse":
            return rows[places]
        case "zero":
            return np.where(missing, 0.0, rows)[places]
        case "mean":
            return np.where(missing, middles(series.features), rows)[places]
        case "previous":
            return _with_beginning(_previous(rows, missing)[places], rows, missing, places)
        case "linear":
            before = _previous(rows, missing)[places]
            ends_missing = np.logical_and.accumulate(missing[places][:, ::-1], axis=1)[:, ::-1]
            windows = np.where(ends_missing, before, _between(rows, missing)[places])
            return _with_beginning(windows, rows, missing, places)
        case _:
            assert_never(series.missing)


def _previous(rows: NDArray[np.float64], missing: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Each missing number is the one before; NaN before the first one."""
    steps = np.arange(len(rows))[:, None]
    last = np.maximum.accumulate(np.where(missing, 0, steps), axis=0)
    return np.take_along_axis(rows, last, axis=0)


def _between(rows: NDArray[np.float64], missing: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Each missing number is on the straight line between both sides."""
    steps = np.arange(len(rows))
    filled = rows.copy()
    for column in np.flatnonzero(missing.any(axis=0) & ~missing.all(axis=0)):
        there = ~missing[:, column]
        filled[:, column] = np.interp(steps, steps[there], rows[there, column])
    return filled


def _with_beginning(
    windows: Windows, rows: NDArray[np.float64], missing: NDArray[np.bool_], places: NDArray[np.int_]
) -> Windows:
    """Missing numbers before the first one of their column are that one, in windows that contain it."""
    first = np.where(missing.all(axis=0), len(rows), missing.argmin(axis=0))  # (features)
    is_before = places[:, :, None] < first
    is_known = first <= places[:, -1, None]  # (windows, features)
    value = np.where(is_known, rows[np.minimum(first, len(rows) - 1), np.arange(rows.shape[1])], np.nan)
    return np.where(is_before, value[:, None, :], windows)
