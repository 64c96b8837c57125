"""Series in JSON: every shape gives the same rows, and what is wrong is named with its row and column."""

from typing import Any

import numpy as np
import pytest

from app.errors import InvalidSeries
from app.tasks.sources.raw_series import JsonSeries, read_json, series_in, steps_in
from app.tasks.sources.series_place import SeriesPlace

TWO = SeriesPlace(3, "inputs[3]", "weather", ("heat", "wind"))
ONE = SeriesPlace(0, "inputs[0]", "sales", ("sold",))
ROWS = [[1, 2.5], [None, 4]]
SHAPES = (
    ROWS,
    [{"heat": 1, "wind": 2.5}, {"wind": 4}],
    [{"day": "Monday", "wind": 2.5, "heat": 1}, {"day": None, "heat": None, "wind": 4}],
    {"wind": [2.5, 4], "heat": [1, None], "day": ["Monday", "Tuesday"]},
)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_gives_the_same_rows(shape: Any) -> None:
    np.testing.assert_array_equal(read_json(shape, TWO).rows, [[1, 2.5], [np.nan, 4]])


@pytest.mark.parametrize("shape", [[5, None, 7], [[5], [None], [7]], [{"sold": 5}, {"sold": None}, {"sold": 7}]])
def test_one_feature(shape: Any) -> None:
    np.testing.assert_array_equal(read_json(shape, ONE).rows, [[5], [np.nan], [7]])


def of(inputs: Any, features: int) -> list[Any]:
    return [series.value for series in series_in(inputs, features)]


@pytest.mark.parametrize("shape", SHAPES)
def test_one_series_or_a_list_of_them(shape: Any) -> None:
    assert of(shape, 2) == [shape]
    assert of([shape, shape], 2) == [shape, shape]
    assert of([shape], 2) == [shape]


def test_rows_of_one_feature_or_several_series() -> None:
    assert of([1, 2, 3], 1) == [[1, 2, 3]]
    assert of([[1, 2, 3], [4, 5]], 1) == [[1, 2, 3], [4, 5]]
    assert of([[1], [2], [3]], 1) == [[[1], [2], [3]]]
    assert of([[1, 2, 3], [4, 5, 6]], 3) == [[[1, 2, 3], [4, 5, 6]]]
    assert of([[[1], [2]], [[3]]], 1) == [[[1], [2]], [[3]]]
    assert of([[], []], 2) == [[], []]
    assert of([[1], [2], [3, 4]], 1) == [[[1], [2], [3, 4]]]
    assert of([{"heat": 0.5, "wind": [1]}], 2) == [[{"heat": 0.5, "wind": [1]}]]
    assert of([{"day": ["Monday"], "heat": [1], "wind": [2]}], 2) == [{"day": ["Monday"], "heat": [1], "wind": [2]}]


def test_steps() -> None:
    assert [steps_in(JsonSeries(shape)) for shape in SHAPES] == [2, 2, 2, 2]
    assert steps_in(JsonSeries([])) == steps_in(JsonSeries({})) == steps_in(JsonSeries({"heat": []})) == 0


WRONG: list[tuple[SeriesPlace, Any, str, dict[str, Any]]] = [
    (TWO, [[1, 2], [3]], "row 1: it has 1 number; weather reads 2 features: heat, wind", {"row": 1}),
    (TWO, [[1, 2, 3], [4, 5, 6]], "row 0: it has 3 numbers; weather reads 2 features", {"row": 0}),
    (TWO, [[1, 2], 3], "row 1: 3 is not a list, as row 0 is", {"row": 1}),
    (TWO, [[1, 2], [3, "4"]], 'row 1, column wind: "4" is not a number; send', {"row": 1, "column": "wind"}),
    (TWO, [[1, True], [3, 4]], "row 0, column wind: true is not a number", {"row": 0, "column": "wind"}),
    (TWO, [[1, [2]], [3, 4]], "row 0, column wind: [2] is not a number", {"row": 0, "column": "wind"}),
    (TWO, [1, 2, 3], "it is a list of numbers; weather reads 2 features", {}),
    (TWO, ["1", 2], 'row 0, column heat: "1" is not a number', {"row": 0, "column": "heat"}),
    (TWO, [{"heat": 1}, {"heat": 2}], "has no column wind; weather reads 2", {"column": "wind"}),
    (TWO, [{"Heat": 1, "wind": 2}], "has no column heat; ", {"column": "heat"}),
    (TWO, [{"heat": 1, "wind": 2}, [3, 4]], "row 1: [3, 4] is not an object", {"row": 1}),
    (TWO, [{"heat": 1, "wind": "x" * 99}], f'row 0, column wind: "{"x" * 39}... is not a number', {"row": 0}),
    (TWO, {"heat": [1]}, "has no column wind; weather reads 2 features: heat, wind. Its columns are heat", {}),
    (TWO, {"heat": [1, 2], "wind": [3]}, "column wind: it has 1 number, and column heat has 2", {"column": "wind"}),
    (TWO, {"heat": [1], "wind": {"0": 3}}, 'column wind: {"0": 3} is not a list of numbers', {"column": "wind"}),
    (TWO, {"heat": [1], "wind": ["3"]}, 'row 0, column wind: "3" is not a number', {"row": 0, "column": "wind"}),
    (ONE, [[1], [2], [3, 4], [5]], "row 2: it has 2 numbers; sales reads 1 feature: sold", {"row": 2}),
    (TWO, {"heat": 1, "wind": 2}, "column heat: 1 is not a list of numbers; send a list with a number for each", {}),
    (ONE, ["a"], 'row 0, column sold: "a" is not a number', {"row": 0, "column": "sold"}),
    (ONE, "a", '"a" is not a series', {}),
    (ONE, 5, "5 is not a series", {}),
]


@pytest.mark.parametrize(("place", "shape", "words", "facts"), WRONG)
def test_what_is_wrong_is_named(place: SeriesPlace, shape: Any, words: str, facts: dict[str, Any]) -> None:
    with pytest.raises(InvalidSeries) as error:
        read_json(shape, place)
    assert error.value.detail.startswith(place.name)
    assert words in error.value.detail
    assert {"input": place.index, **facts}.items() <= error.value.facts.items()


def test_integers_beyond_all_numbers_are_infinite() -> None:
    assert np.isinf(read_json([[1, 10**400], [None, 2]], TWO).rows).sum() == 1


def test_many_columns_are_not_all_named() -> None:
    wide = SeriesPlace(0, "inputs[0]", "wide", tuple(f"column{number}" for number in range(5000)))
    with pytest.raises(InvalidSeries) as error:
        read_json([[1.0]], wide)
    assert len(error.value.detail) < 400
    assert "and 4988 more" in error.value.detail
