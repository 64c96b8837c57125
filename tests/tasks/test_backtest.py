"""Mean absolute errors of windows, against numpy number by number."""

import numpy as np
import pytest

from app.tasks.answers.backtest import Backtest

NAN = float("nan")


def test_each_known_number_counts_once_for_each_forecast_of_it() -> None:
    rows = np.random.default_rng(1).normal(size=(40, 2))
    forecasts = [np.random.default_rng(last).normal(size=(5, 2)) for last in range(5, 40, 3)]
    lasts = range(5, 40, 3)
    pairs = [
        (forecast[step], rows[last + 1 + step], rows[last])
        for last, forecast in zip(lasts, forecasts, strict=True)
        for step in range(5)
        if last + 1 + step < 40
    ]
    value, became, repeated = (np.array(part) for part in zip(*pairs, strict=True))
    errors = Backtest(["a", "b"], rows).errors(lasts, forecasts)
    assert [*errors.forecast.values()] == pytest.approx(np.abs(value - became).mean(axis=0))
    assert [*errors.persistence.values()] == pytest.approx(np.abs(repeated - became).mean(axis=0))


def test_missing_numbers_and_forecasts_that_a_deadline_cut() -> None:
    """Of `a` the last known number before row 3 is that of row 1; `b` has none before row 3."""
    rows = np.array([[1, NAN], [2, NAN], [NAN, NAN], [5, 7], [NAN, 8]])
    backtest = Backtest(["a", "b"], rows)
    errors = backtest.errors([1, 2, 3], [np.zeros((3, 2)), np.zeros((0, 2)), np.ones((1, 2))])
    assert errors.forecast == {"a": 5.0, "b": (7 + 8 + 7) / 3}
    assert errors.persistence == {"a": 3.0, "b": 1.0}
    np.testing.assert_array_equal(backtest.actual(2, 1), [[5, 7]])
    assert backtest.errors([4], [np.ones((3, 2))]) == ({}, {})
