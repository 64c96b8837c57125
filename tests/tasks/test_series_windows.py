"""Windows of a series: missing numbers are filled as a loop over each window would fill them."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pytest

from app.store.scaling import MinMax, Standard
from app.store.series_input import Feature, SeriesInput
from app.tasks.sources.series_windows import windows_of

FEATURES = (
    Feature(name="a", scaling=Standard(mean=3, std=2)),
    Feature(name="b", scaling=MinMax(minimum=0, maximum=8)),
    Feature(name="c", log1p=True, scaling=Standard(mean=1, std=1)),
)
Rule = Literal["refuse", "previous", "linear", "zero", "mean"]


def filled(column: Sequence[float], rule: str, middle: float) -> list[float]:
    """A column of a series that ends here, by the words of the manifest; NaN where they give nothing."""
    there = [place for place, number in enumerate(column) if not math.isnan(number)]
    done = []
    for place, number in enumerate(column):
        before = [other for other in there if other < place]
        after = [other for other in there if other > place]
        if not math.isnan(number) or rule == "refuse":
            done.append(number)
        elif rule == "zero":
            done.append(0.0)
        elif rule == "mean":
            done.append(middle)
        elif before and after and rule == "linear":
            (left, right), share = (before[-1], after[0]), (place - before[-1]) / (after[0] - before[-1])
            done.append(column[left] + share * (column[right] - column[left]))
        elif before:
            done.append(column[before[-1]])
        else:
            done.append(column[after[0]] if after else math.nan)
    return done


@pytest.mark.parametrize("rule", ["refuse", "previous", "linear", "zero", "mean"])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.9])
def test_filled_as_if_the_series_ended_with_the_window(rule: Rule, share: float) -> None:
    generator = np.random.default_rng(7)
    rows: Any = generator.uniform(0, 9, (30, 3))
    rows[generator.uniform(size=rows.shape) < share] = np.nan
    series = SeriesInput(features=FEATURES, missing=rule)
    for unit, starts in ((6, range(0, 25, 2)), (1, range(30)), (30, [0]), (4, [26])):
        windows = windows_of(rows, starts, unit, series)
        assert windows.shape == (len(starts), unit, 3)
        for window, start in zip(windows, starts, strict=True):
            for column, middle in enumerate((3.0, 4.0, math.e - 1)):
                expected = filled(rows[: start + unit, column].tolist(), rule, middle)[start:]
                np.testing.assert_allclose(window[:, column], expected)
