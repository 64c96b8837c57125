"""Series as requests carry them to rows of a model's features: JSON of several shapes, a CSV, or an array."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidSeries, counted
from app.tasks.sources.series_place import SeriesPlace, listed, shown

_NUMBERS = {int, float, type(None)}  # None is a missing number


@dataclass(frozen=True)
class CsvFile:
    """A CSV with a header row. Without `charset` it is UTF-8, unless it begins with the mark of another encoding."""

    content: bytes
    charset: str | None = None


@dataclass(frozen=True)
class JsonSeries:
    """Numbers, rows of numbers, rows by name, or columns by name. None is a missing number."""

    value: list[Any] | dict[str, Any]


@dataclass(frozen=True, eq=False)
class ArraySeries:
    """An array (steps, features). NaN is a missing number."""

    rows: NDArray[np.float64]


RawSeries = JsonSeries | CsvFile | ArraySeries


@dataclass(frozen=True)
class Reading:
    """Rows of a model's features (steps, features); NaN is a missing number. Of a CSV also the line of each row."""

    rows: NDArray[np.float64]
    lines: Sequence[int] | None = None

    def line(self, row: int) -> int | None:
        """The line of a row, counted from 1."""
        return None if self.lines is None else self.lines[row]


def series_in(inputs: list[Any] | dict[str, Any], features: int) -> list[JsonSeries]:
    """The series in the member `inputs` of a request, for a model with that many features."""
    if isinstance(inputs, list) and is_list_of_series(inputs, features):
        return [JsonSeries(one) for one in inputs]
    return [JsonSeries(inputs)]


def is_list_of_series(inputs: list[Any] | dict[str, Any], features: int) -> bool:
    """Whether the member `inputs` of a request is a list of series, and not one series, for a model with that many
    features. Its first item tells: for a single feature, `[[1, 2], [3, 4]]` are two series; for two, it is one with two
    rows."""
    if not isinstance(inputs, list) or not inputs:
        return False
    first = inputs[0]
    if isinstance(first, dict):  # of columns, or one row by name
        return next((isinstance(value, list) for value in first.values() if _is_column_or_cell(value)), False)
    if not isinstance(first, list):
        return False
    if not first or isinstance(first[0], list | dict):
        return True
    return features == 1 and len(first) > 1


def _is_column_or_cell(value: object) -> bool:
    """Whether a member of an object tells if it is columns or a row by name. A text or null may be in either."""
    return type(value) in (list, int, float)


def steps_in(raw: RawSeries) -> int | None:
    """The steps of a series; None for a CSV, whose rows are not known before it is read."""
    match raw:
        case CsvFile():
            return None
        case ArraySeries(rows):
            return len(rows)
        case JsonSeries(dict(columns)):
            return max((len(column) if isinstance(column, list) else 1 for column in columns.values()), default=0)
        case JsonSeries(list(items)):
            return len(items)
        case JsonSeries():
            return 1  # no series at all, which `read_json` refuses


def values_in(raw: JsonSeries | ArraySeries) -> int:
    """About how many values a series has, as its first row or its longest column tells."""
    steps = steps_in(raw) or 0
    match raw:
        case ArraySeries(rows):
            return rows.size
        case JsonSeries(dict(columns)):
            return steps * len(columns)
        case JsonSeries([list() | dict() as first, *_]):
            return steps * len(first)
        case _:
            return steps


def read_json(raw: list[Any] | dict[str, Any], place: SeriesPlace) -> Reading:
    """The rows of a series in JSON. Raises InvalidSeries."""
    if not isinstance(raw, list | dict):
        raise place.refused(
            f"{shown(raw)} is not a series; send a list of rows, or an object with a list for each feature"
        )
    if isinstance(raw, dict):
        return Reading(_columns(raw, place))
    first = raw[0]
    if isinstance(first, dict):
        return Reading(_named_rows(raw, place))
    if isinstance(first, list):
        return Reading(_rows(raw, place))
    if len(place.features) > 1:
        _checked(raw, place, place.features[:1])
        raise place.refused(
            f"it is a list of numbers; {place.reads}. Send a list of {len(place.features)} for each row"
        )
    return Reading(_checked(raw, place, place.features))


def _rows(rows: list[Any], place: SeriesPlace) -> NDArray[np.float64]:
    width = len(place.features)
    for index, row in enumerate(rows):
        if type(row) is not list:
            raise place.refused(f"{shown(row)} is not a list, as row 0 is", row=index)
        if len(row) != width:
            advice = ". Several series are lists of rows: [[[1], [2]], [[3], [4]]]" if width == 1 else ""
            raise place.refused(f"it has {counted(len(row), 'number')}; {place.reads}{advice}", row=index)
    return _checked(list(chain.from_iterable(rows)), place, place.features)


def _named_rows(rows: list[Any], place: SeriesPlace) -> NDArray[np.float64]:
    for index, row in enumerate(rows):
        if type(row) is not dict:
            raise place.refused(f"{shown(row)} is not an object, as row 0 is", row=index)
    names = dict.fromkeys(chain.from_iterable(rows))
    check_names(names, place)
    return _checked([row.get(name) for row in rows for name in place.features], place, place.features)


def _columns(columns: dict[str, Any], place: SeriesPlace) -> NDArray[np.float64]:
    check_names(columns, place)
    steps: dict[str, int] = {}
    for name in place.features:
        column = columns[name]
        if type(column) is not list:
            raise place.refused(
                f"{shown(column)} is not a list of numbers; send a list with a number for each step", column=name
            )
        steps[name] = len(column)
    first = place.features[0]
    for name, count in steps.items():
        if count != steps[first]:
            raise place.refused(
                f"it has {counted(count, 'number')}, and column {first} has {steps[first]}; send as many of each",
                column=name,
            )
    by_column = [_checked(columns[name], place, (name,)) for name in place.features]
    return np.concatenate(by_column, axis=1)


def check_names(names: Collection[str], place: SeriesPlace, *, advice: str = "") -> None:
    """Raises InvalidSeries unless a series has a column for each feature; other columns are ignored."""
    given = names if isinstance(names, dict) else set(names)
    missing = [feature for feature in place.features if feature not in given]
    if missing:
        raise InvalidSeries(
            f"{place.name} has no column {listed(missing)}; {place.reads}. Its columns are {listed(names)}{advice}",
            input=place.index,
            column=missing[0],
        )


def _checked(values: list[Any], place: SeriesPlace, columns: Sequence[str]) -> NDArray[np.float64]:
    """Values row by row as numbers. Raises InvalidSeries for the first one that is none."""
    wrong = set(map(type, values)) - _NUMBERS
    if wrong:
        index = next(index for index, value in enumerate(values) if type(value) in wrong)
        row, column = divmod(index, len(columns))
        raise place.refused(
            f"{shown(values[index])} is not a number; send a number, or null for a missing one",
            row=row,
            column=columns[column],
        )
    try:
        return np.array(values, dtype=np.float64).reshape(-1, len(columns))
    except OverflowError:  # an integer of more than 308 digits
        return np.array([_bounded(value) for value in values]).reshape(-1, len(columns))


def _bounded(value: float | None) -> float:
    try:
        return np.nan if value is None else float(value)
    except OverflowError:
        return np.inf
