"""Forecasts of past windows beside the numbers that followed, and their mean absolute errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]  # (rows, targets)


class Errors(NamedTuple):
    """The mean absolute error of each target, of the forecasts and of repeating the last known number. A target without
    a known number is in neither."""

    forecast: dict[str, float]
    persistence: dict[str, float]


@dataclass(frozen=True, eq=False)
class Backtest:
    """The targets of a series over all its `rows`, in the units of the data; NaN is a missing number."""

    targets: Sequence[str]
    rows: Rows

    def actual(self, last: int, horizon: int) -> Rows:
        """The rows that follow row `last`, at most `horizon`."""
        return self.rows[last + 1 : last + 1 + horizon]

    def errors(self, lasts: Sequence[int], forecasts: Sequence[Rows]) -> Errors:
        """The errors of forecasts, each of the rows after one of `lasts`, over all that have a known number."""
        counts = [len(forecast) for forecast in forecasts]
        last = np.repeat(lasts, counts)
        step = np.arange(len(last)) - np.repeat(np.cumsum([0, *counts[:-1]]), counts)
        row = last + 1 + step
        is_past = row < len(self.rows)
        actual, repeated = self.rows[row[is_past]], self._known()[last[is_past]]
        forecast = np.concatenate(forecasts)[is_past]
        return Errors(self._mean(forecast - actual), self._mean(repeated - actual))

    def _known(self) -> Rows:
        """The last known number of each target at each row; NaN before the first one."""
        place = np.where(np.isnan(self.rows), 0, np.arange(len(self.rows))[:, None])
        return np.take_along_axis(self.rows, np.maximum.accumulate(place, axis=0), axis=0)

    def _mean(self, differences: Rows) -> dict[str, float]:
        known = ~np.isnan(differences)
        counts = known.sum(axis=0)
        sums = np.abs(np.where(known, differences, 0.0)).sum(axis=0)
        return {
            name: float(total / count) for name, total, count in zip(self.targets, sums, counts, strict=True) if count
        }
