"""CSVs as spreadsheets and data services write them: the sensible reading, or an error with line and column."""

import math
from typing import Any

import numpy as np
import pytest

from app.errors import EmptyInput, InputTooLong, InvalidSeries, UnsupportedMedia
from app.tasks.sources.csv_numbers import UnreadableNumber, numbers_of
from app.tasks.sources.csv_series import read_csv
from app.tasks.sources.raw_series import CsvFile
from app.tasks.sources.series_place import SeriesPlace

PLACE = SeriesPlace(0, "the CSV", "weather", ("heat", "wind"))
ONE = SeriesPlace(0, "the CSV", "sales", ("sold",))
ROWS = [[12.5, 1234.0], [-3.0, 0.25]]
MISSING = [[12.5, math.nan], [math.nan, 0.25]]


def read(text: str | bytes, place: SeriesPlace = PLACE, charset: str | None = None, most: int = 1000) -> Any:
    content = text.encode() if isinstance(text, str) else text
    return read_csv(CsvFile(content, charset), place, most=most).rows


GOOD: dict[str, tuple[str | bytes, list[list[float]]]] = {
    "plain": ("heat,wind\n12.5,1234\n-3,0.25\n", ROWS),
    "no last line break": ("heat,wind\n12.5,1234\n-3,0.25", ROWS),
    "line breaks of Windows": ("heat,wind\r\n12.5,1234\r\n-3,0.25\r\n", ROWS),
    "other order, dates and texts": (
        "date,weather,wind,heat\n2012-01-01,rain,1234,12.5\n2012-01-02,sun,0.25,-3\n",
        ROWS,
    ),
    "an index without a name": (",heat,wind\n0,12.5,1234\n1,-3,0.25\n", ROWS),
    "byte-order mark": (b"\xef\xbb\xbfheat,wind\n12.5,1234\n-3,0.25\n", ROWS),
    "UTF-16 of Excel, tabs": ("heat\twind\n12.5\t1234\n-3\t0.25\n".encode("utf-16"), ROWS),
    "spaces": (" heat , wind\n 12.5,  1234\n-3 ,0.25\n", ROWS),
    "quotes": ('"heat","wind"\n"12.5","1234"\n"-3","0.25"\n', ROWS),
    "semicolons": ("heat;wind\n12.5;1234\n-3;0.25\n", ROWS),
    "semicolons and decimal commas": ("heat;wind\n12,5;1234\n-3;0,25\n", ROWS),
    "decimal commas and points of thousands": ("heat;wind\n12,5;1.234\n-3;0,25\n", ROWS),
    "decimal commas and spaces of thousands": ("heat;wind\n12,5;1\u202f234\n-3;0,25\n", ROWS),
    "commas of thousands in quotes": ('heat,wind\n12.5,"1,234"\n-3,0.25\n', ROWS),
    "decimal commas in quotes": ('heat,wind\n"12,5",1234\n-3,"0,25"\n', ROWS),
    "apostrophes of thousands": ("heat;wind\n12.5;1'234\n-3;0.25\n", ROWS),
    "tabs and decimal commas": ("heat\twind\n12,5\t1234\n-3\t0,25\n", ROWS),
    "bars": ("heat|wind\n12.5|1234\n-3|0.25\n", ROWS),
    "Excel's hint": ("sep=;\nheat;wind\n12,5;1234\n-3;0,25\n", ROWS),
    "exponents": ("heat,wind\n1.25e1,1234.0\n-3E0,.25\n", ROWS),
    "a minus sign of typesetters": ("heat,wind\n12.5,1234\n\u22123,0.25\n", ROWS),
    "empty lines": ("\n\nheat,wind\n\n12.5,1234\n\n\n-3,0.25\n\n", ROWS),
    "empty rows of a spreadsheet at the end": ("heat,wind\n12.5,1234\n-3,0.25\n,\n , \n", ROWS),
    "a delimiter at the end of lines": ("heat;wind\n12.5;1234;\n-3;0.25;\n", ROWS),
    "missing numbers": ("heat,wind\n12.5,\nNA,0.25\n", MISSING),
    "other missing numbers": ("day,heat,wind\n1,12.5,#N/A\n2,nan,0.25\n", MISSING),
    "missing in a file with decimal commas": ("heat;wind\n12,5;null\n;0,25\n", MISSING),
    "a whole row missing": ("heat,wind\n12.5,1234\n,\n-3,0.25\n", [ROWS[0], [math.nan, math.nan], ROWS[1]]),
    "infinite": ("heat,wind\n12.5,inf\n-3,-Infinity\n", [[12.5, math.inf], [-3, math.inf]]),
    "names in quotes with a line break": ('"a\nb",heat,wind\nx,12.5,1234\ny,-3,0.25\n', ROWS),
}


@pytest.mark.parametrize("name", GOOD)
def test_the_sensible_reading(name: str) -> None:
    text, expected = GOOD[name]
    np.testing.assert_array_equal(read(text), expected)


def test_one_column() -> None:
    assert read("sold\n5\n7.5\n", ONE).tolist() == [[5], [7.5]]
    assert read("sold\n12,8\n10,25\n", ONE).tolist() == [[12.8], [10.25]]
    assert read("date,sold\n2020-01-01,5\n", ONE).tolist() == [[5]]


def test_charsets() -> None:
    place = SeriesPlace(0, "the CSV", "weather", ("wärme",))
    content = "wärme;x\n1,5;2\n".encode("windows-1252")
    assert read(content, place, "Windows-1252").tolist() == [[1.5]]
    with pytest.raises(InvalidSeries, match=r"line 1: it is not utf-8.*charset=windows-1252"):
        read(content, place)
    assert read("wärme\n1\n".encode("utf-16-le"), place, "utf-16le").tolist() == [[1]]
    with pytest.raises(UnsupportedMedia, match="the charset punycode is not supported; send utf-8"):
        read(content, place, "punycode")


WRONG: dict[str, tuple[str, str, dict[str, Any]]] = {
    "text": ("heat,wind\n1,2\n3,warm\n", "line 3, column wind: 'warm' is not a number", {"row": 1, "column": "wind"}),
    "a date in a feature": ("heat,wind\n2012-01-01,2\n", "line 2, column heat: '2012-01-01' is not a number", {}),
    "after empty lines": ("\n\nheat,wind\n\n1,x\n", "line 5, column wind: 'x' is not a number", {"row": 0}),
    "a unit": ("heat,wind\n1,2 km/h\n", "line 2, column wind: '2 km/h' is not a number", {}),
    "a missing column": (
        "heat,Wind\n1,2\n",
        "has no column wind; weather reads 2 features: heat, wind. Its columns are heat, Wind",
        {"column": "wind"},
    ),
    "no header": ("1,2\n3,4\n", "line 1: the first row has numbers; send the names of the columns first", {}),
    "a column twice": ("heat,wind,heat\n1,2,3\n", "column heat: two columns have this name", {"column": "heat"}),
    "a short row": ("heat,wind\n1,2\n3\n", "line 3: it has 1 field, and the header 2", {"row": 1}),
    "a long row": ("heat,wind\n1,2\n3,4,5\n", "line 3: it has 3 fields, and the header 2", {"row": 1}),
    "an open quote": ('heat,wind\n1,"2\n3,4\n', "it is not a valid CSV: unexpected end of data", {}),
    "two ways to write numbers": (
        'heat,wind\n"1,5",2\n3,0.25\n',
        "line 3, column wind: '0.25' is written in another way than the numbers before, which have ','",
        {"row": 1, "column": "wind"},
    ),
    "decimals or thousands": (
        "heat\twind\n1,234\t2\n3\t4\n",
        "line 2, column heat: '1,234' has a comma that may stand before decimals or between thousands",
        {"row": 0, "column": "heat"},
    ),
    "newest first": (
        "date,heat,wind\n2012-01-02,1,2\n2012-01-01,3,4\n",
        "line 3, column date: 2012-01-01 is before the date of the row above; send the oldest row first",
        {"row": 1, "column": "date"},
    ),
    "newest first, with a time zone, a blank and a footer": (
        "day,heat,wind\n2012-01-03T00:00:00Z,1,2\n2012-01-04,1,2\n,3,4\n2012-01-02,5,6\nTotal,9,12\n",
        "line 5, column day: 2012-01-02 is before the date of the row above",
        {"row": 3, "column": "day"},
    ),
    "newest month first": ("m,heat,wind\n2012-02,1,2\n2012-01,3,4\n", "line 3, column m: 2012-01 is before", {}),
    "newest year first": ("y,heat,wind\n2012,1,2\n2011,3,4\n", "line 3, column y: 2011 is before the date", {}),
    "newest first with slashes": ("heat,wind,d\n1,2,2012/02/03\n3,4,2012/02/02\n", "line 3, column d: 2012/02/02", {}),
    "points between thousands": (
        "d;heat;wind\nx;950;2\nx;1.020;4\n",
        "line 3, column heat: '1.020' has a point that may stand before decimals or between thousands",
        {"row": 1, "column": "heat"},
    ),
    "a date and numbers as the header": ("2012-01-01,1,2\n2012-01-02,3,4\n", "line 1: the first row has numbers", {}),
    "a title": (
        "Weather of Seattle\nheat,wind\n1,2\n",
        "Its columns are Weather of Seattle; line 1 is taken as the",
        {},
    ),
    "UTF-16 without a mark": ("h\0e\0a\0t\0\n\0", "line 1: it has NUL characters; send UTF-8, or name the charset", {}),
    "a long header": ("|;,\t" * 250_001, "line 1: it has 1000004 characters; the limit of a line is 1000000", {}),
    "a row of a megabyte": (
        "heat,wind\n1,2\n" + "," * 1_000_001,
        "line 3: it has 1000001 characters; the limit of a line",
        {},
    ),
    "underscores": ("heat,wind\n1_000,2\n", "line 2, column heat: '1_000' is not a number", {}),
    "digits of another script": ("heat,wind\n٣,2\n", "line 2, column heat: '٣' is not a number", {}),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name: str) -> None:
    text, words, facts = WRONG[name]
    with pytest.raises(InvalidSeries) as error:
        read(text)
    assert words in error.value.detail
    assert {"input": 0, **facts}.items() <= error.value.facts.items()


@pytest.mark.parametrize("text", ["", "\n\n", "heat,wind\n", "heat,wind\n\n,\n"])
def test_empty(text: str) -> None:
    with pytest.raises(EmptyInput):
        read(text)


def test_too_many_rows() -> None:
    row = "1,2\n"
    assert len(read("heat,wind\n" + 10 * row, most=10)) == 10
    assert len(read("heat,wind\n" + 10 * row + 50 * ",\n", most=10)) == 10
    with pytest.raises(InputTooLong, match="more than 10 rows"):
        read("heat,wind\n" + 11 * row, most=10)


@pytest.mark.parametrize(
    ("fields", "usual", "expected"),
    [
        (["1.234", "5"], ".", [1.234, 5]),
        (["1.234", "0.871"], None, [1.234, 0.871]),
        (["1.234", "1020"], None, [1.234, 1020]),
        (["1.234", ""], ",", [1.234, math.nan]),
        (["1.234", "5", "0.5"], ",", [1.234, 5, 0.5]),
        (["1,234", "5"], ".", [1234, 5]),
        (["1,234", "5"], ",", [1.234, 5]),
        (["1.234", "0,5"], None, [1234, 0.5]),
        (["1,234", "0.5"], None, [1234, 0.5]),
        (["1,234,567", "5"], None, [1234567, 5]),
        (["1.234.567", "5"], None, [1234567, 5]),
        (["1.234.567,5"], None, [1234567.5]),
        (["1,234,567.5"], None, [1234567.5]),
        (["1234,567"], ".", [1234.567]),
        (["0,125"], ".", [0.125]),
        (["+1,5", "-1,5e-3"], None, [1.5, -0.0015]),
        (["1 234 567", "2"], None, [1234567, 2]),
    ],
)
def test_numbers(fields: list[str], usual: Any, expected: list[float]) -> None:
    np.testing.assert_array_equal(numbers_of(fields, usual=usual), expected)


@pytest.mark.parametrize(
    ("fields", "columns", "index"), [(["950", "1.020"], 1, 1), (["0.5", "7", "1.5", "8"], 2, None)]
)
def test_points_between_thousands(fields: list[str], columns: int, index: int | None) -> None:
    if index is None:
        assert len(numbers_of(fields, usual=",", columns=columns)) == len(fields)
        return
    with pytest.raises(UnreadableNumber, match="a point that may stand before decimals or between thousands") as raised:
        numbers_of(fields, usual=",", columns=columns)
    assert raised.value.index == index


@pytest.mark.parametrize("fields", [["1,23,456.5"], ["1.2.3"], ["1 2"], [","], ["+"], ["e5"], ["0x10"], ["1,5", "1.5"]])
def test_no_numbers(fields: list[str]) -> None:
    with pytest.raises(UnreadableNumber):
        numbers_of(fields, usual=".")
