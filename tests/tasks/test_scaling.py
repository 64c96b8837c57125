"""Scaling: the formulas, column by column, and the way back."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from app.store.scaling import MinMax, Standard
from app.store.series_input import Feature, SeriesInput
from app.tasks.scaling import middles, scaled, unscaled

COLUMNS = (
    Feature(name="plain"),
    Feature(name="standard", scaling=Standard(mean=10.0, std=4.0)),
    Feature(name="range", scaling=MinMax(minimum=-5, maximum=35, low=-1, high=1)),
    Feature(name="logarithm", log1p=True),
    Feature(name="both", log1p=True, scaling=MinMax(minimum=0, maximum=3)),
)
ROW = [1.5, 16.0, 5.0, math.e - 1, math.e**1.5 - 1]


def test_each_column_by_its_formula() -> None:
    read = scaled(np.array([ROW]), COLUMNS)
    assert read.dtype == np.float32
    assert read[0].tolist() == pytest.approx([1.5, 1.5, -0.5, 1.0, 0.5], rel=1e-6)


def test_there_and_back() -> None:
    rows = np.random.default_rng(0).uniform(0, 50, (40, len(COLUMNS)))
    assert unscaled(scaled(rows, COLUMNS), COLUMNS) == pytest.approx(rows, rel=1e-5)


def test_the_middle_of_a_column_is_in_its_units() -> None:
    columns = [column for column in COLUMNS if column.scaling is not None]
    assert middles(columns).tolist() == pytest.approx([10.0, 15.0, math.exp(1.5) - 1])
    assert scaled(middles(columns)[None], columns)[0].tolist() == pytest.approx([0, 0, 0.5], abs=1e-6)


def test_numbers_outside_the_range_go_on_linearly() -> None:
    assert scaled(np.array([[75.0]]), COLUMNS[2:3])[0, 0] == pytest.approx(3.0)


def test_mean_needs_a_scaling() -> None:
    SeriesInput(features=COLUMNS[1:3], missing="mean")
    with pytest.raises(ValidationError, match="needs a scaling of each feature"):
        SeriesInput(features=COLUMNS[:2], missing="mean")
